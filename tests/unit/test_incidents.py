"""Incidents: what opens, joins and ends them, who is told, and what a second reading changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from incident_alerts import alert, at, command

from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import INCIDENTS
from inferwatch_schemas.wire import Encoder, decode
from inferwatch_streams.alerts.alert import Alert
from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.commands.command import Command
from inferwatch_streams.incidents.correlation import MAX_ALERTS, MAX_WITH_LESSER
from inferwatch_streams.incidents.incident import ActionState, Event, Incident
from inferwatch_streams.incidents.incidents import Incidents
from inferwatch_streams.incidents.policy import Deadlines, Level, Placement, Policy
from inferwatch_streams.incidents.priorities import priority_of
from inferwatch_streams.incidents.responding import ended
from inferwatch_streams.incidents.timeline import FIRST, NEWEST, extended, quiet_since, told

POLICY = Policy(
    levels=(Level(("chat",)), Level(("lead",), 600_000_000), Level(("boss",), 600_000_000)),
    repeats=2,
)
GPU = {"host": "gpu-7", "device": "GPU-1", "metric": "gpu_utilization_ratio"}
QUEUE = {"host": "gpu-7", "metric": "queue_size"}
ENCODER = Encoder("incident", PinnedRegistry())


def stored(incident: Incident) -> Incident:
    """As it comes back from its topic."""
    return Incident.from_record(decode(ENCODER.encode(incident.to_record()), PinnedRegistry()))


def only(incidents: Incidents) -> Incident:
    """The one incident there is."""
    (incident,) = incidents
    return incident


def test_serious_alert_opens() -> None:
    """A high alert opens an incident with deadlines, which its first level of people is told."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    assert (opened.status, opened.priority, opened.services) == ("open", "P3", ("chat",))
    assert opened.acknowledge_by - opened.opened_at == POLICY.deadlines["P3"].acknowledge
    assert opened.targets == ("chat",)
    assert opened.runbook_url == "https://runbooks/error_rate"
    assert stored(opened) == opened


@pytest.mark.parametrize(
    "changed",
    [{"severity": "medium"}, {"status": "pending"}, {"silence_id": "s"}, {"inhibited_by": "f"}],
)
def test_others_open_nothing(changed: dict[str, str]) -> None:
    """Lesser alerts, and those that people are not told of, open nothing."""
    assert Incidents(POLICY).alert(replace(alert(), **changed)) == []


def test_silence_ends() -> None:
    """An alert that is told of only later opens an incident then."""
    incidents = Incidents(POLICY)
    assert incidents.alert(alert(silence_id="s")) == []
    (opened,) = incidents.alert(alert(seconds=9000, fired=0))
    # People could not have taken it before.
    assert opened.acknowledge_by == at(9000) + POLICY.deadlines["P3"].acknowledge
    (joined,) = incidents.alert(alert("latency", 9010))
    assert joined.incident_id == opened.incident_id


def test_joins_by_service() -> None:
    """A second alert of the service joins; one of another, or much later, opens its own."""
    incidents = Incidents(POLICY)
    incidents.alert(alert())
    (joined,) = incidents.alert(alert("latency", 30))
    assert [member.rule for member in joined.alerts] == ["error_rate", "latency"]
    assert (joined.transition, joined.targets) == ("joined", ())
    incidents.alert(alert(seconds=40, labels={"service": "search"}))
    incidents.alert(alert("late", 4000))
    assert len(incidents) == 3


def test_environments_apart() -> None:
    """The same service in another environment has an incident of its own."""
    incidents = Incidents(POLICY)
    incidents.alert(alert(labels={"service": "chat", "environment": "prod"}))
    incidents.alert(alert(labels={"service": "chat", "environment": "test"}))
    assert len(incidents) == 2


def test_critical_raises() -> None:
    """A worse alert raises the priority, and no deadline gets later by it."""
    incidents = Incidents(POLICY)
    (before,) = incidents.alert(alert())
    (raised,) = incidents.alert(alert("down", 600, severity="critical"))
    assert (raised.transition, raised.priority, raised.targets) == ("priority", "P2", ("chat",))
    assert raised.acknowledge_by == at(600) + POLICY.deadlines["P2"].acknowledge
    assert raised.acknowledge_by < before.acknowledge_by
    assert (before.title, raised.title) == ("error_rate of chat", "down of chat")


def test_gets_worse() -> None:
    """An alert that gets worse raises its incident, or brings it back where it was over."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    worse = alert(seconds=60, fired=0, severity="critical")
    (raised,) = incidents.alert(worse)
    assert (raised.priority, raised.transition) == ("P2", "priority")
    assert raised.acknowledge_by == at(60) + POLICY.deadlines["P2"].acknowledge
    assert incidents.alert(worse) == []
    assert incidents.alert(alert()) == []
    incidents = Incidents(POLICY)
    incidents.alert(alert())
    incidents.command(command("resolve", opened.incident_id, 30))
    (back,) = incidents.alert(worse)
    assert (back.incident_id, back.status, back.transition) == (
        opened.incident_id,
        "open",
        "opened",
    )
    incidents = Incidents(replace(POLICY, reopen=0))
    incidents.alert(alert())
    incidents.command(command("resolve", opened.incident_id, 30))
    (another,) = incidents.alert(worse)
    assert (another.incident_id != opened.incident_id, another.opened_at) == (True, at(60))
    incidents.put(stored(next(each for each in incidents if not each.active)))
    (ended,) = incidents.alert(replace(worse, status="resolved", resolved_at=at(90)))
    assert ended.incident_id == another.incident_id


def test_priorities() -> None:
    """Severity begins it; what users see, and many services, make it more urgent."""
    seen = ((Matcher.parse("service=chat"), Matcher.parse("endpoint!=/internal")),)
    found = []
    for severity in ("high", "critical"):
        many = [alert(severity=severity, labels={"service": name}) for name in "abc"]
        found += [
            priority_of(Policy(user_facing=facing), alerts)
            for alerts, facing in (
                ([alert(severity=severity)], ()),
                (many, ()),
                ([alert(severity=severity)], seen),
            )
        ]
    assert found == ["P3", "P2", "P2", "P2", "P1", "P1"]


@pytest.mark.parametrize(
    ("severity", "environments", "priority"),
    [
        ("high", ["staging"], "P4"),
        ("critical", ["staging"], "P3"),
        ("high", ["test", "dev", "qa"], "P4"),
        ("high", ["production"], "P3"),
        ("high", ["latest"], "P3"),
        ("high", [""], "P3"),
        ("high", ["staging", ""], "P3"),
        ("high", ["staging", "production"], "P3"),
    ],
)
def test_what_is_not_production_is_less_urgent(
    severity: str, environments: list[str], priority: str
) -> None:
    """What is all of staging and the like is one less urgent, whoever sees it there."""
    alerts = [
        alert(severity=severity, labels={"service": f"s{number}", "environment": environment})
        for number, environment in enumerate(environments)
    ]
    facing = ((Matcher.parse("environment=staging"),),)
    assert priority_of(Policy(user_facing=facing), alerts) == priority


def test_staging_is_raised_by_a_host() -> None:
    """What opened as P4 has its deadlines; a host of which nobody knows whose it is raises it."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert(labels={"service": "chat", "environment": "staging"}))
    assert (opened.priority, opened.actions) == (
        "P4",
        (ActionState(name="collect_logs"), ActionState(name="gather_metrics")),
    )
    assert opened.acknowledge_by == opened.opened_at + POLICY.deadlines["P4"].acknowledge
    (raised,) = incidents.alert(alert("gpu_throttled", 30, labels=GPU))
    assert (raised.priority, raised.transition) == ("P3", "priority")


def test_lesser_cause_is_found() -> None:
    """A medium GPU alert opens nothing, and is the probable cause of what opens after it."""
    incidents = Incidents(POLICY)
    assert incidents.alert(alert("gpu_busy", 0, labels=GPU, severity="medium")) == []
    assert incidents.alert(alert("queue_grows", 5, labels=QUEUE, severity="medium")) == []
    (opened,) = incidents.alert(alert("first_token", 40))
    assert opened.probable_cause is not None
    assert opened.probable_cause.startswith("GPU on gpu-7: gpu_busy of gpu-7")
    assert "40 s before the first symptom" in opened.probable_cause
    assert "engine on gpu-7: queue_grows" in opened.probable_cause
    assert opened.hosts == ("gpu-7",)
    assert opened.priority == "P3"


def test_lesser_symptom_joins_quietly() -> None:
    """A medium alert of the service joins, tells nobody, and does not keep the incident open."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    (joined,) = incidents.alert(alert("first_token", 5, severity="medium"))
    assert joined.transition_id == opened.transition_id
    assert [member.rule for member in joined.alerts] == ["error_rate", "first_token"]
    incidents.alert(alert(seconds=60, fired=0, status="resolved"))
    (over,) = incidents.tick(at(361))
    assert over.resolved_at == at(360)


def test_placed_cause_comes_first() -> None:
    """What runs where the service runs is a likelier cause than a GPU elsewhere."""
    policy = replace(POLICY, placements=(Placement(("cpu-*",), ("chat",)),))
    incidents = Incidents(policy)
    incidents.alert(alert("gpu_busy", 0, labels=GPU))
    incidents.alert(alert("disk_full", 10, labels={"host": "cpu-1"}))
    incidents.alert(alert("latency", 20))
    (with_host,) = [each for each in incidents if "cpu-1" in each.hosts and each.services]
    assert with_host.probable_cause is not None
    assert with_host.probable_cause.startswith("host on cpu-1")
    assert "where chat runs" in with_host.probable_cause


def test_hosts_apart_where_wanted() -> None:
    """With placements for all, the host that no service runs on stays apart."""
    incidents = Incidents(replace(POLICY, unplaced=False))
    incidents.alert(alert())
    incidents.alert(alert("gpu_busy", 5, labels=GPU))
    assert sorted(bool(each.services) for each in incidents) == [False, True]


def test_common_model() -> None:
    """Services in trouble with one model have the model for a cause."""
    incidents = Incidents(POLICY)
    incidents.alert(alert(labels={"service": "chat", "model": "m"}))
    (joined,) = incidents.alert(alert(seconds=9, labels={"service": "search", "model": "m"}))
    assert joined.probable_cause == "Model m: it is common to all alerts, of 2 services."


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


@given(
    st.tuples(*(st.integers(1, 10**6) for _ in range(8))),
    st.lists(st.sampled_from(["high", "critical"]), min_size=1, max_size=4),
    st.lists(st.integers(0, 1000), min_size=4, max_size=4),
)
@settings(max_examples=30, deadline=None)
def test_deadlines_never_get_later(
    spans: tuple[int, ...], severities: list[str], times: list[int]
) -> None:
    """Whatever joins, deadlines get no later while an incident is open."""
    spans = tuple(sorted(spans))
    deadlines = {f"P{n + 1}": Deadlines(spans[n], spans[n + 4]) for n in range(4)}
    incidents = Incidents(replace(POLICY, deadlines=deadlines))
    before: Incident | None = None
    for number, severity in enumerate(severities):
        (now,) = incidents.alert(alert(f"r{number}", sorted(times)[number], severity=severity))
        assert before is None or now.acknowledge_by <= before.acknowledge_by
        assert before is None or now.resolve_by <= before.resolve_by
        before = now


# --- any split by restarts ---

Input = Alert | Command | int


@st.composite
def histories(draw: st.DrawFn) -> list[Input]:
    """Alerts that come and go, commands and ticks, in the order they are heard."""
    series = [
        ("errors", {"service": "chat"}, "high"),
        ("latency", {"service": "chat"}, "critical"),
        ("errors", {"service": "search", "model": "m"}, "high"),
        ("latency", {"service": "voice", "model": "m"}, "high"),
        ("gpu_busy", GPU, "medium"),
        ("first_token", {"service": "search"}, "low"),
        ("queue_grows", QUEUE, "high"),
    ]
    firing: dict[int, float] = {}
    heard: list[Input] = []
    now = 0
    for number in range(draw(st.integers(1, 25))):
        now += draw(st.sampled_from([1, 20, 200, 400, 3000]))
        which = draw(st.integers(0, len(series) + 1))
        if which < len(series):
            rule, labels, severity = series[which]
            since = firing.pop(which, None)
            if since is not None and severity == "high" and draw(st.booleans()):
                firing[which] = since
                heard.append(alert(rule, now, fired=since, labels=labels, severity="critical"))
            elif since is None:
                firing[which] = now
                heard.append(alert(rule, now, labels=labels, severity=severity))
            else:
                heard.append(
                    alert(rule, now, "resolved", fired=since, labels=labels, severity=severity)
                )
        elif which == len(series):
            heard.append(at(now))
        else:
            action = draw(st.sampled_from(["acknowledge", "comment", "resolve", "escalate"]))
            # The target is whichever incident is there; it is filled in when it is heard.
            heard.append(command(action, "", now, text=str(number)))
    return heard


class Life:
    """Incidents that hear a history, and at times are read anew from what was written."""

    def __init__(self, heard: list[Input]) -> None:
        self.heard = heard
        self.incidents = Incidents(POLICY)
        self._targets: dict[int, str] = {}

    def restart(self, floor: int) -> None:
        """Read the incidents as they were written, and the alerts below a place."""
        fresh = Incidents(POLICY)
        for incident in sorted(self.incidents, key=lambda each: each.event_time):
            fresh.put(stored(incident))
        for each in self.heard[:floor]:
            if isinstance(each, Alert):
                fresh.remember(each)
        self.incidents = fresh

    def hear(self, position: int) -> list[Incident]:
        """Hear one input; what is written of it."""
        each = self.heard[position]
        if isinstance(each, int):
            return self.incidents.tick(each)
        if isinstance(each, Alert):
            return self.incidents.alert(each)
        if position not in self._targets:
            known = sorted(incident.incident_id for incident in self.incidents)
            self._targets[position] = known[0] if known else "none"
        return self.incidents.command(replace(each, target=self._targets[position]))


def lived(heard: list[Input], restarts: dict[int, int]) -> tuple[list[str], list[Incident]]:
    """Transitions and incidents at the end; at a restart, so many inputs are heard again."""
    life, transitions = Life(heard), list[str]()
    position = 0
    while position < len(heard):
        again = restarts.pop(position, None)
        if again is not None:
            position = max(0, position - again)
            life.restart(position)
        for incident in life.hear(position):
            if incident.transition_id not in transitions:
                transitions.append(incident.transition_id)
        held = [member.fingerprint for each in life.incidents.active for member in each.alerts]
        assert len(held) == len(set(held)), "an alert is in two incidents that go on"
        position += 1
    return transitions, sorted(life.incidents, key=lambda each: each.incident_id)


@given(histories(), st.dictionaries(st.integers(0, 24), st.integers(0, 24), max_size=3))
@settings(max_examples=80, deadline=None)
def test_restarts_change_nothing(heard: list[Input], restarts: dict[int, int]) -> None:
    """Restarts, with inputs heard again on top of what was written, change nothing."""
    assert lived(heard, dict(restarts)) == lived(heard, {})


def test_lesser_heard_again() -> None:
    """A lesser alert that was not near an incident is not near it when it is heard again later."""
    gpu = {"labels": GPU, "severity": "medium"}
    heard: list[Input] = [
        alert("errors", 1),
        alert("errors", 2, "resolved", fired=1),
        alert("gpu_busy", 3002, **gpu),
        alert("gpu_busy", 3003, "resolved", fired=3002, **gpu),
        alert("errors", 3004),
        alert("errors", 3005, "resolved", fired=3004),
    ]
    assert lived(heard, {5: 3}) == lived(heard, {})


def test_storm() -> None:
    """An incident has so many alerts at most, the lesser fewer; then another opens."""
    incidents = Incidents(POLICY)
    for number in range(MAX_WITH_LESSER + 5):
        incidents.alert(alert(f"lesser-{number}", 0, severity="low"))
    for number in range(MAX_ALERTS):
        incidents.alert(alert(f"rule-{number}", 1))
    sizes = sorted(
        (len(each.alerts), sum(member.serious for member in each.alerts)) for each in incidents
    )
    # The first took lesser ones until it had its share of them; the rest is in the second.
    assert sizes == [
        (105, MAX_ALERTS - (MAX_ALERTS - MAX_WITH_LESSER + 1)),
        (MAX_ALERTS, MAX_ALERTS - MAX_WITH_LESSER + 1),
    ]
