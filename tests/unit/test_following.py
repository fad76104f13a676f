"""What a service makes of the records of the two topics."""

from typing import Any

import pytest

from inferwatch_agents.controls.control import Control
from inferwatch_agents.errors import AgentsError, UnusableRecordError
from inferwatch_agents.experiments.definition import Experiment
from inferwatch_agents.following import Following, read_control, read_experiment
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder

REGISTRY = PinnedRegistry()
PROMPT = Experiment("prompt", {"a": 0.5, "b": 0.5})
OPEN = Control(action="open_circuit", model="m")


def encoded(schema: str, record: Any, **change: Any) -> bytes:
    """A record's value, with some fields as no tool of ours would write them."""
    return Encoder(schema, REGISTRY).encode({**record, **change})


def test_records_are_read_back() -> None:
    """Under the keys that they name."""
    value = encoded("experiment", PROMPT.to_record(0, None))
    assert read_experiment(REGISTRY, "prompt", value) == PROMPT
    assert read_control(REGISTRY, OPEN.target, encoded("control", OPEN.to_record(0))) == OPEN


def test_a_record_under_another_key_is_unusable() -> None:
    """Nothing could remove it."""
    with pytest.raises(UnusableRecordError, match="'other' is not what the record names, 'prompt'"):
        read_experiment(REGISTRY, "other", encoded("experiment", PROMPT.to_record(0, None)))
    with pytest.raises(UnusableRecordError):
        read_control(REGISTRY, "m", encoded("control", OPEN.to_record(0)))


@pytest.mark.parametrize(
    "change",
    [{"status": "unknown to this version"}, {"variants": []}, {"winner": "a"}, {"experiment": ""}],
)
def test_definitions_that_cannot_be_are_unusable(change: dict[str, Any]) -> None:
    """Whoever wrote them; no service is to guess what was meant."""
    value = encoded("experiment", PROMPT.to_record(0, None), **change)
    with pytest.raises(AgentsError):
        read_experiment(REGISTRY, change.get("experiment", "prompt"), value)


def test_an_unknown_action_is_told_and_replaces_what_its_target_had() -> None:
    """What a newer version asks for is not done, and what held before is over."""
    notes: list[tuple[str, str, str]] = []

    def note(where: str, error: BaseException, which: str = "") -> None:
        notes.append((where, str(error), which))

    following = Following(KafkaSettings(), REGISTRY, "svc", "test", note=note)
    try:
        topic = following._reader._topics["inferwatch.controls"]  # noqa: SLF001  # what its thread fills
        following.close()
        topic.begin([0])
        for action in ("open_circuit", "slow_down"):
            value = encoded("control", OPEN.to_record(0), action=action)
            topic.take(0, OPEN.target.encode(), value, 0)
            topic.ended(0)
            topic.publish()
            assert len(following.controls.calls) == (action == "open_circuit")
    finally:
        following.close()
    assert notes == [
        ("reading inferwatch.controls", "This version knows no action 'slow_down'.", "slow_down")
    ]
