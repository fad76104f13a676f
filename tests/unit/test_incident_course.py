"""What becomes of an incident: escalation, commands, its end and return, and its bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from incident_alerts import alert, at, command
from known_incidents import ENCODER, POLICY, only, stored

from inferwatch_schemas.topics import INCIDENTS
from inferwatch_streams.incidents.correlation import MAX_ALERTS
from inferwatch_streams.incidents.incident import ActionState, Event
from inferwatch_streams.incidents.incidents import Incidents
from inferwatch_streams.incidents.responding import ended
from inferwatch_streams.incidents.timeline import FIRST, NEWEST, extended, quiet_since, told


def test_escalates_until_taken() -> None:
    """Unanswered it goes to each level, the last twice more, each at the time it was due."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    written = incidents.tick(opened.acknowledge_by + 7200 * 1_000_000)
    levels = [each for each in written if each.transition == "escalated"]
    assert [each.targets for each in levels] == [("lead",), ("boss",), ("boss",), ("boss",)]
    due = [each.event_time - opened.acknowledge_by for each in levels]
    assert due == [0, 600_000_000, 1_200_000_000, 1_800_000_000]
    assert incidents.tick(opened.acknowledge_by + 9000 * 1_000_000) == []


def test_taken_is_not_escalated() -> None:
    """Who takes it ends the escalation, and all who were told hear of it."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    incidents.tick(opened.acknowledge_by)
    (taken,) = incidents.command(command("acknowledge", opened.incident_id, 4000))
    assert (taken.acknowledged_by, taken.targets) == ("ann", ("chat", "lead"))
    assert incidents.tick(at(40_000)) == []


def test_overdue_is_told_once() -> None:
    """What is not over by its time is told to all who know of it, once."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    incidents.command(command("acknowledge", opened.incident_id))
    (late,) = incidents.tick(opened.resolve_by)
    assert (late.targets, late.escalation_level) == (("chat",), 0)
    assert incidents.tick(opened.resolve_by + 10**9) == []


def test_ends_when_quiet() -> None:
    """It ends when all its alerts have been over for the quiet time, and not before."""
    incidents = Incidents(POLICY)
    incidents.alert(alert())
    incidents.alert(alert("latency", 5))
    incidents.alert(alert(seconds=60, fired=0, status="resolved"))
    assert incidents.tick(at(1000)) == []
    (refreshed,) = incidents.alert(alert("latency", 90, "resolved", fired=5))
    assert refreshed.transition == "joined"
    assert incidents.tick(at(90 + 299)) == []
    (over,) = incidents.tick(at(90 + 301))
    assert (over.status, over.resolved_at, over.resolved_by) == ("resolved", at(390), None)
    assert over.targets == ("chat",)


def test_fires_again_within_quiet() -> None:
    """An alert that fires again before the quiet time is over keeps the incident open."""
    incidents = Incidents(POLICY)
    incidents.alert(alert())
    incidents.alert(alert(seconds=60, fired=0, status="resolved"))
    (again,) = incidents.alert(alert(seconds=120))
    assert again.transition == "joined"
    assert incidents.tick(at(1000)) == []


def test_comes_back() -> None:
    """An alert of one that is over brings it back to be taken anew; much later it opens another."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    incidents.command(command("acknowledge", opened.incident_id))
    incidents.alert(alert(seconds=60, fired=0, status="resolved"))
    incidents.tick(at(400))
    (back,) = incidents.alert(alert(seconds=500))
    assert (back.incident_id, back.status, back.transition) == (
        opened.incident_id,
        "open",
        "opened",
    )
    assert (back.acknowledged_at, back.targets) == (None, ("chat",))
    assert back.transition_id != opened.transition_id
    incidents.alert(alert(seconds=560, fired=500, status="resolved"))
    incidents.tick(at(900))
    incidents.alert(alert(seconds=8000))
    assert len(incidents) == 2


def test_does_not_come_back_beside_another() -> None:
    """Where one of its alerts is in another incident meanwhile, an alert goes there."""
    incidents = Incidents(replace(POLICY, reopen=10**12, window=60_000_000))
    (first,) = incidents.alert(alert("a"))
    incidents.alert(alert("b", 10))
    incidents.command(command("resolve", first.incident_id, 20))
    incidents.alert(alert("a", 30, "resolved", fired=0))
    incidents.policy = replace(incidents.policy, reopen=0)
    (second,) = incidents.alert(alert("a", 50))
    incidents.policy = replace(incidents.policy, reopen=10**12)
    incidents.alert(alert("b", 60, "resolved", fired=10))
    (joined,) = incidents.alert(alert("b", 70))
    assert joined.incident_id == second.incident_id != first.incident_id


def test_commands() -> None:
    """Each command does what it says, is in the timeline, and is done once."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    target = opened.incident_id
    given = [
        command("assign", target, 2, assignee="bob"),
        command("investigate", target, 3),
        command("mitigate", target, 4, text="rolls back"),
        command("comment", target, 5, text="looks better"),
        command("escalate", target, 6),
        command("resolve", target, 7, text="fixed"),
    ]
    ids = [incident.transition_id for each in given for incident in incidents.command(each)]
    assert len(set(ids)) == len(given)
    done = only(incidents)
    assert (done.assignee, done.acknowledged_by, done.resolved_by) == ("bob", "ann", "ann")
    assert (done.status, done.escalation_level) == ("resolved", 1)
    texts = [line.text for line in done.timeline]
    assert "Does something about it: rolls back" in texts
    assert "looks better" in texts
    assert [incident for each in given for incident in incidents.command(each)] == []
    (refused,) = incidents.command(command("mitigate", target, 8))
    text = "Does something about it, which was refused: the incident is over."
    assert refused.timeline[-1].text == text
    assert (refused.status, refused.transition_id) == ("resolved", ids[-1])
    assert len(incidents.command(command("comment", target, 9, text="late"))) == 1


def test_refused_commands() -> None:
    """What an incident does not know is refused; what is of an alert is none of its business."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    assert incidents.command(command("acknowledge", alert().fingerprint)) == []
    for bad in (
        command("silence", opened.incident_id, 2),
        command("assign", opened.incident_id, 3),
        command("approve", opened.incident_id, 4, response_action="scale_up"),
        command("undo", opened.incident_id, 5, response_action="collect_logs"),
    ):
        (refused,) = incidents.command(bad)
        assert refused.transition_id == opened.transition_id
        assert ", which was refused: " in refused.timeline[-1].text
        assert incidents.command(bad) == []


@pytest.mark.parametrize(
    "given",
    [
        [("comment", {"text": "looks better"}), ("comment", {"text": "and is"})],
        [("investigate", {}), ("mitigate", {})],
        [("assign", {"assignee": "bob"}), ("assign", {"assignee": "eve"})],
        [("approve", {"response_action": "pray"}), ("approve", {"response_action": "hope"})],
        [("assign", {}), ("assign", {"assignee": "x" * 1000, "text": "y" * 2000})],
        [("{braces}", {}), ("comment", {"text": "of another version"})],
    ],
)
def test_commands_of_one_moment(given: list[tuple[str, dict[str, str]]]) -> None:
    """Two that one actor gives in the same microsecond both count, and each of them once."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    first, second = (
        replace(command(action, opened.incident_id, 5, **fields), command_id=str(number))
        for number, (action, fields) in enumerate(given)
    )
    for heard in (first, second):
        (changed,) = incidents.command(heard)
        incidents.put(stored(changed))
    before = only(incidents)
    assert len(before.timeline) == len(opened.timeline) + 2
    assert [incidents.command(each) for each in (first, second, first)] == [[], [], []]
    assert only(incidents) == before


def test_an_alert_that_is_removed_is_over() -> None:
    """Its end may have been compacted away unheard; heard again, it changes nothing."""
    incidents = Incidents(POLICY)
    incidents.alert(alert())
    assert incidents.forget_alert(alert().fingerprint, at(0)) == []
    (changed,) = incidents.forget_alert(alert().fingerprint, at(60))
    assert changed.alerts[0].status == "resolved"
    assert incidents.forget_alert(alert().fingerprint, at(60)) == []
    assert incidents.forget_alert("unknown", at(60)) == []
    (over,) = incidents.tick(at(60) + POLICY.quiet)
    assert over.status == "resolved"


def test_the_longest_record_fits_into_its_topic() -> None:
    """Whatever people, services and actions write: all of it, at its longest, is below 1 MiB."""
    long = "\U0001f600" * 1_500
    incidents = Incidents(POLICY)
    (first,) = incidents.alert(alert(summary=long, labels={"service": "chat"}))
    for number in range(1, MAX_ALERTS):
        labels = {"service": "chat", "host": f"{number}{long}", "model": f"{number}{long}"}
        incidents.alert(alert(f"{number}{long}", number, labels=labels, summary=long))
    for number in range(250):
        given = command("comment", first.incident_id, 1000 + number, text=long)
        incidents.command(replace(given, actor=long))
        assert incidents.command(replace(given, actor=long)) == []
    incidents.command(replace(command("acknowledge", first.incident_id, 2000), actor=long))
    incidents.command(command("assign", first.incident_id, 2001, assignee=long))
    now = only(incidents)
    for name in ("a", "b", "c", "d", "e", "f", "g"):
        now = replace(now, actions=(*now.actions, ActionState(name=name)))
        now = ended(now, name, at(2002), "succeeded", "\ud800" + long)
    assert len(now.alerts) == MAX_ALERTS
    assert 400_000 < len(ENCODER.encode(now.to_record())) < INCIDENTS.max_value_bytes


def test_kept_for_a_while() -> None:
    """What is over for ninety days is to be removed, and then unknown."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    incidents.command(command("resolve", opened.incident_id))
    assert incidents.over_since(at(80 * 86_400)) == []
    assert incidents.over_since(at(91 * 86_400)) == [opened.incident_id]
    incidents.forget(opened.incident_id)
    assert len(incidents) == 0


def test_timeline_is_bounded() -> None:
    """A long timeline keeps its beginning, its newest lines and the last end of an alert."""
    timeline: tuple[Event, ...] = ()
    events = [Event(n, "resolved" if n == 50 else "commented", "ann", str(n)) for n in range(500)]
    for event in events:
        timeline = extended(timeline, event)
        assert len(timeline) <= FIRST + 1 + NEWEST
        assert told(timeline, event)
    assert timeline[0].text == "0"
    assert timeline[-1].text == "499"
    assert timeline[FIRST].text == f"{500 - FIRST - NEWEST} lines are left out here."
    assert quiet_since(timeline) == 50
    # What was left out was said.
    assert told(timeline, events[100])
