"""What `inferwatch alerts show` lets through to a terminal."""

from typing import Any

import pytest
from typer.testing import CliRunner

from inferwatch import alerting
from inferwatch.main import app
from inferwatch_streams.alerts.alert import FIRING, Alert


def test_a_terminal_obeys_nothing_of_an_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels and summaries come from events of services."""
    alert = Alert(
        fingerprint="f", event_time=0, rule="r", kind="threshold", severity="high", status=FIRING,
        transition_id="t", labels=(("service", "\x1b]0;owned\x07chat"),), summary="\x1b[2Jfails",
        started_at=0, fired_at=0,
    )  # fmt: skip

    def read(*_: Any) -> tuple[dict[str, Alert], dict[str, Any]]:
        return {"f": alert}, {}

    monkeypatch.setattr(alerting, "read", read)
    result = CliRunner().invoke(app, ["alerts", "show", "f"])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert r"service=\x1b]0;owned\x07chat" in result.output
