"""What stands for the SDK's client where calls are monitored."""

import pytest
from sdk_recorder import Recorder

from inferwatch_agents import process


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Return what keeps the calls that end."""
    recorder = Recorder()
    monkeypatch.setattr(process, "_active", recorder)
    return recorder
