"""How urgent an incident is, and by when it is to be taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from incident_alerts import alert, at, command
from known_incidents import GPU, POLICY, stored

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.incidents.incident import ActionState, Incident
from inferwatch_streams.incidents.incidents import Incidents
from inferwatch_streams.incidents.policy import Deadlines, Policy
from inferwatch_streams.incidents.priorities import priority_of


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
