"""What a record of an alert or an incident has to tell, as a notice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from inferwatch_schemas.instants import micros, micros_or_none
from inferwatch_streams.alerts import alert as alerts
from inferwatch_streams.alerts.alert import Alert
from inferwatch_streams.notifications.notice import (
    ACKNOWLEDGED,
    ALERT,
    FIRING,
    INCIDENT,
    RESOLVED,
    UPDATED,
    Notice,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_streams.notifications.notice import Origin

FLAPS: Final = "It comes and goes: you hear of it again when it has been calm, or is over."
_SEVERITIES: Final = {"P1": "critical", "P2": "high", "P3": "medium", "P4": "low"}
# An incident's transitions that are more than news.
_STATES: Final = {
    "opened": FIRING, "escalated": FIRING, "acknowledged": ACKNOWLEDGED, "resolved": RESOLVED,
}  # fmt: skip


def notice_of(schema: str, record: Mapping[str, Any], origin: Origin) -> Notice | None:
    """What a decoded record has to tell; None of what never reaches people, such as silences."""
    if schema == "alert":
        return _of_alert(Alert.from_record(record), origin)
    return _of_incident(record, origin) if schema == "incident" else None


def _of_alert(alert: Alert, origin: Origin) -> Notice | None:
    times = {
        alerts.FIRING: alert.fired_at,
        alerts.ACKNOWLEDGED: alert.acknowledged_at,
        alerts.RESOLVED: alert.resolved_at,
    }
    if alert.status not in times:
        return None
    at = times[alert.status]
    return Notice(
        notice_id=alert.notification_id or alert.transition_id,
        kind=ALERT,
        subject=alert.fingerprint,
        state=alert.status,
        severity=alert.severity,
        name=alert.rule,
        title=alert.summary,
        labels=alert.labels,
        group=alert.group_key,
        at=alert.event_time if at is None else at,
        since=alert.started_at,
        until=alert.resolved_at,
        actor=alert.acknowledged_by if alert.status == alerts.ACKNOWLEDGED else None,
        value=_finite(alert.value),
        threshold=_finite(alert.threshold),
        samples=alert.samples,
        description=alert.description,
        news=FLAPS if alert.flapping and alert.status == alerts.FIRING else "",
        runbook_url=alert.runbook_url,
        muted=alert.notification_id is None,
        origin=origin,
    )


def _finite(value: float | None) -> float | None:
    """The value where JSON can have it, else None."""
    return value if value is not None and math.isfinite(value) else None


def _of_incident(record: Mapping[str, Any], origin: Origin) -> Notice:
    timeline = record["timeline"]
    last = timeline[-1] if timeline else None
    state = _STATES.get(record["transition"], UPDATED)
    if record["status"] == RESOLVED:
        state = RESOLVED
    labels = [
        (name, ", ".join(record[f"{name}s"]))
        for name in ("host", "model", "service")
        if record[f"{name}s"]
    ]
    return Notice(
        notice_id=record["transition_id"],
        kind=INCIDENT,
        subject=record["incident_id"],
        state=state,
        severity=_SEVERITIES.get(record["priority"], "medium"),
        name=record["priority"],
        title=record["title"],
        labels=tuple(labels),
        at=micros(record["event_time"]),
        since=micros(record["opened_at"]),
        until=micros_or_none(record["resolved_at"]),
        actor=None if last is None else last["actor"],
        description=_description(record),
        news="" if last is None else last["text"],
        runbook_url=record["runbook_url"],
        channels=tuple(record["targets"]),
        origin=origin,
    )


def _description(record: Mapping[str, Any]) -> str:
    lines = []
    if record["probable_cause"]:
        lines.append(f"Probable cause: {record['probable_cause']}")
    if record["assignee"]:
        lines.append(f"Assigned to {record['assignee']}")
    lines += [f"- {each['severity']} {each['status']}: {each['summary']}"
              for each in record["alerts"][:20]]  # fmt: skip
    if (more := len(record["alerts"]) - 20) > 0:
        lines.append(f"and {more} more alerts")
    return "\n".join(lines)
