"""Incidents read again: whatever is heard twice, after whichever restart, changes nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from incident_alerts import alert, at, command
from known_incidents import GPU, POLICY, QUEUE, stored

from inferwatch_streams.alerts.alert import Alert
from inferwatch_streams.commands.command import Command
from inferwatch_streams.incidents.correlation import MAX_ALERTS, MAX_WITH_LESSER
from inferwatch_streams.incidents.incident import Incident
from inferwatch_streams.incidents.incidents import Incidents

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
