"""States of alerts, silences and incidents, and commands; the same for equal seeds."""

import random
from typing import Any

from load import MICROS, START_MICROS, Event
from random_events import or_none


def make_states(seed: int, count: int) -> list[Event]:
    """States of alerts, silences and incidents, and commands, as many of each.

    A few keys have all of them, so that most are replaced, some by a leader that another replaced.
    """
    chance = random.Random(seed)  # noqa: S311 -- a load, no secret
    makers = {"alert": _alert, "silence": _silence, "incident": _incident, "command": _command}
    return [
        Event(schema, {"event_time": START_MICROS + number * MICROS} | make(chance))
        for number in range(count)
        for schema, make in makers.items()
    ]


def _instant(chance: random.Random) -> int:
    return START_MICROS + chance.randint(-(10**9), 10**9)


def _matchers(chance: random.Random) -> list[dict[str, str]]:
    written = [("service", "=~", "chat|größe"), ("rule", "!=", ""), ("a", "=", '"\\')]
    return [
        dict(zip(("name", "operator", "value"), each, strict=True))
        for each in chance.sample(written, chance.randint(0, 3))
    ]


def _alert(chance: random.Random) -> dict[str, Any]:
    labels = chance.sample(["service", "model", "größe"], chance.randint(0, 3))
    return {
        "fingerprint": f"{chance.randint(1, 5):016x}",
        "rule": "error_rate",
        "kind": chance.choice(["threshold", "burn_rate"]),
        "severity": chance.choice(["low", "critical"]),
        "status": chance.choice(["pending", "firing", "acknowledged", "resolved", "inactive"]),
        "transition_id": f"{chance.getrandbits(64):016x}",
        "labels": [{"name": name, "value": chance.choice(["", "ü", "chat"])} for name in labels],
        "value": or_none(chance, chance.choice([0.0, 0.25, -1e300])),
        "threshold": or_none(chance, 0.05),
        "samples": or_none(chance, chance.randint(0, 2**40)),
        "summary": chance.choice(["", "5 % of calls fail: ü"]),
        "description": chance.choice(["", "a\nb"]),
        "runbook_url": or_none(chance, "docs/runbooks/error-rate.md"),
        "details": or_none(chance, '{"burn":14.4}'),
        "started_at": _instant(chance),
        "fired_at": or_none(chance, _instant(chance)),
        "acknowledged_at": or_none(chance, _instant(chance), 0.5),
        "acknowledged_by": or_none(chance, "anna", 0.5),
        "resolved_at": or_none(chance, _instant(chance), 0.5),
        "silence_id": or_none(chance, "maintenance/night", 0.5),
        "inhibited_by": or_none(chance, "f" * 16, 0.5),
        "flapping": chance.choice([True, False]),
        "group_key": 'service="chat"',
        "epoch": chance.randint(0, 3),
    }


def _silence(chance: random.Random) -> dict[str, Any]:
    return {
        "silence_id": chance.choice(["s1", "s2"]),
        "matchers": _matchers(chance),
        "starts_at": _instant(chance),
        "ends_at": _instant(chance),
        "actor": "anna",
        "reason": chance.choice(["", "größer"]),
        "epoch": chance.randint(0, 3),
    }


def _command(chance: random.Random) -> dict[str, Any]:
    return {
        "command_id": f"{chance.getrandbits(64):016x}",
        "actor": "anna",
        "action": chance.choice(["acknowledge", "silence", "of a newer version"]),
        "target": f"{chance.randint(1, 5):016x}",
        "text": or_none(chance, "größer", 0.5),
        "assignee": or_none(chance, "bert", 0.5),
        "response_action": or_none(chance, "scale_up", 0.5),
        "starts_at": or_none(chance, _instant(chance), 0.5),
        "ends_at": or_none(chance, _instant(chance), 0.5),
        "matchers": _matchers(chance),
    }


def _incident(chance: random.Random) -> dict[str, Any]:
    alert = {
        "fingerprint": "a" * 16, "rule": "error_rate", "severity": "high", "status": "firing",
        "summary": "ü", "joined_at": _instant(chance),
    }  # fmt: skip
    action = {
        "name": "scale_up",
        "status": "succeeded",
        "started_at": or_none(chance, _instant(chance), 0.5),
        "finished_at": or_none(chance, _instant(chance), 0.5),
        "attempts": chance.randint(0, 3),
        "result": or_none(chance, "four replicas", 0.5),
        "value_before": or_none(chance, 0.25, 0.5),
        "value_after": or_none(chance, 0.125, 0.5),
        "undo": or_none(chance, "scale down", 0.5),
    }
    event = {"at": _instant(chance), "kind": "opened", "actor": "inferwatch", "text": "größer"}
    return {
        "incident_id": f"{chance.randint(1, 3):016x}",
        "title": "error_rate: ü",
        "priority": chance.choice(["P1", "P4"]),
        "status": chance.choice(["open", "resolved"]),
        "transition": "opened",
        "transition_id": f"{chance.getrandbits(64):016x}",
        "services": chance.choice([[], ["chat", "übersetzer"]]),
        "models": chance.choice([[], ["large"]]),
        "hosts": [],
        "alerts": [alert] * chance.randint(0, 2),
        "probable_cause": or_none(chance, "GPU memory is full", 0.5),
        "cause_fingerprint": or_none(chance, "b" * 16, 0.5),
        "runbook_url": or_none(chance, "docs/runbooks/error-rate.md", 0.5),
        "opened_at": _instant(chance),
        "acknowledge_by": _instant(chance),
        "resolve_by": _instant(chance),
        "acknowledged_at": or_none(chance, _instant(chance), 0.5),
        "acknowledged_by": or_none(chance, "anna", 0.5),
        "assignee": or_none(chance, "bert", 0.5),
        "resolved_at": or_none(chance, _instant(chance), 0.5),
        "resolved_by": or_none(chance, "anna", 0.5),
        "escalation_level": chance.randint(0, 3),
        "targets": chance.choice([[], ["pager", "chat"]]),
        "actions": [action] * chance.randint(0, 2),
        "timeline": [event] * chance.randint(0, 2),
        "epoch": chance.randint(0, 3),
    }
