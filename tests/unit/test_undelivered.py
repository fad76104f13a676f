"""Dead letters of notices: which channel said what, and the record that was not told."""

import asyncio
from dataclasses import replace

import pytest
from fake_emitter import FakeEmitter
from notices import AT, notice, origin

from inferwatch.dead_letters import letter_of
from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.columnar.waits import Waits
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import ALERTS, DEAD_LETTERS, INCIDENTS
from inferwatch_schemas.wire import decode
from inferwatch_streams.alerts.alert import Alert
from inferwatch_streams.alerts.memory import Memory
from inferwatch_streams.leading.state_record import named
from inferwatch_streams.notifications import undelivered as module
from inferwatch_streams.notifications.message import FAILED, Answer
from inferwatch_streams.notifications.notice import (
    ACKNOWLEDGED,
    FIRING,
    INCIDENT,
    RESOLVED,
    UPDATED,
)
from inferwatch_streams.notifications.notices import notice_of
from inferwatch_streams.notifications.undelivered import Undelivered

REGISTRY = PinnedRegistry()
ANSWER = Answer(FAILED, "503", "busy")


def undelivered(emitter: FakeEmitter) -> Undelivered:
    """Return one that sends there."""
    return Undelivered(emitter, REGISTRY, "group", Waits(lambda: 0.0))  # type: ignore[arg-type]  # stands for an Emitter


def test_a_letter_names_channel_and_status_and_holds_the_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each channel's letter of a record is one of its own; a broker that fails is asked again."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    emitter = FakeEmitter(failures=1)
    value = example_values(ALERTS, 1)[0]
    schema, record = named(value, REGISTRY)
    of = notice(origin=replace(origin(), schema=schema, record=record))

    async def case() -> None:
        writer = undelivered(emitter)
        await asyncio.gather(*(writer.bury(name, of, ANSWER, 3) for name in ("a", "b")))

    asyncio.run(case())
    letters = [letter_of(sent.value, REGISTRY) for sent in emitter.delivered]
    assert [letter.reason for letter in letters] == ["undelivered:a:503", "undelivered:b:503"]
    assert letters[0].detail == (
        "Channel a was not told that 'aa fails' is firing; after 3 attempts it answered 503: busy. "
        "Notification aa-firing-1."
    )
    assert [decode(letter.value or b"", REGISTRY) for letter in letters] == [record] * 2
    assert {letter.place for letter in letters} == {"inferwatch.alerts/0/7"}
    assert len({letter.identity for letter in letters}) == 2
    assert len({sent.identity for sent in emitter.delivered}) == 2
    assert {sent.topic for sent in emitter.delivered} == {DEAD_LETTERS.name}


def test_a_record_of_a_newer_version_is_buried_without_its_value() -> None:
    """Where it stands says enough."""
    emitter = FakeEmitter()
    asyncio.run(undelivered(emitter).bury("a", notice(origin=origin()), ANSWER, 1))
    (sent,) = emitter.delivered
    assert letter_of(sent.value, REGISTRY).value is None


@pytest.mark.parametrize(
    ("transition", "status", "state"),
    [
        ("opened", "open", FIRING),
        ("escalated", "open", FIRING),
        ("acknowledged", "investigating", ACKNOWLEDGED),
        ("joined", "open", UPDATED),
        ("status", "resolved", RESOLVED),
        ("a newer word", "mitigating", UPDATED),
    ],
)
def test_incidents_are_told_by_their_transitions(transition: str, status: str, state: str) -> None:
    """To the channels that they name, with their newest event."""
    _, record = named(example_values(INCIDENTS, 1)[0], REGISTRY)
    record |= {
        "transition": transition, "status": status, "priority": "P1", "targets": ["ops"],
        "services": ["chat", "search"], "models": [], "hosts": ["gpu-7"],
        "timeline": [{"at": record["event_time"], "kind": "x", "actor": "ada", "text": "Look."}],
    }  # fmt: skip
    made = notice_of("incident", record, origin())
    assert made is not None
    assert (made.kind, made.state, made.severity, made.channels) == (
        INCIDENT, state, "critical", ("ops",),
    )  # fmt: skip
    assert (made.news, made.actor) == ("Look.", "ada")
    assert made.labels == (("host", "gpu-7"), ("service", "chat, search"))


def test_alerts_are_told_by_their_notification_id() -> None:
    """Those without are muted; pending and inactive ones, and silences, have nothing to tell."""
    alert = Alert(
        fingerprint="f", event_time=AT, rule="r", kind="threshold", severity="high",
        status="firing", transition_id="t", labels=(), summary="s", started_at=AT, flapping=True,
    )  # fmt: skip
    told = replace(alert, details=Memory(notification_id="n").to_details({}))
    for status in ("pending", "inactive"):
        assert notice_of("alert", _record(replace(alert, status=status)), origin()) is None
    assert notice_of("silence", {}, origin()) is None
    muted = notice_of("alert", _record(alert), origin())
    assert muted is not None
    assert (muted.notice_id, muted.muted) == ("t", True)
    assert muted.news.startswith("It comes and goes")
    told = replace(told, value=float("nan"), threshold=float("inf"), samples=0)
    heard = notice_of("alert", _record(told), origin())
    assert heard is not None
    assert (heard.notice_id, heard.muted) == ("n", False)
    # What JSON cannot have would be refused.
    assert (heard.value, heard.threshold, heard.samples) == (None, None, 0)


def _record(alert: Alert) -> dict[str, object]:
    _, times = named(example_values(ALERTS, 1)[0], REGISTRY)
    names = ("event_time", "started_at", "fired_at", "acknowledged_at", "resolved_at")
    return {**alert.to_record(), **{name: times[name] for name in names}}
