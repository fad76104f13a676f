"""What a demo shows of alerts and incidents: a line or two each. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from inferwatch_clickhouse.alerting import ShownAlert, ShownIncident

MAX_ALERTS = 8


def alerting_lines(alerts: Sequence[ShownAlert], incidents: Sequence[ShownIncident]) -> list[str]:
    """Incidents, then alerts, in the order they are given; of many alerts the first."""
    lines = [line for incident in incidents for line in _incident(incident)]
    lines += [_alert(alert) for alert in alerts[:MAX_ALERTS]]
    if len(alerts) > MAX_ALERTS:
        lines.append(f"... and {len(alerts) - MAX_ALERTS} more alerts")
    return lines


def _incident(incident: ShownIncident) -> Iterator[str]:
    if incident.resolved_at is not None:
        when = f"resolved {_clock(incident.resolved_at)}"
    elif incident.acknowledged_by is not None:
        when = f"taken by {incident.acknowledged_by}"
    else:
        when = f"to be taken by {_clock(incident.acknowledge_by)}"
    yield (
        f"INCIDENT {incident.priority} {incident.status} {incident.incident_id}: {incident.title} "
        f"(since {_clock(incident.opened_at)}, {when}, alerts: {incident.alerts})"
    )
    if incident.probable_cause is not None:
        yield f"  probable cause: {incident.probable_cause}"
    if incident.runbook_url is not None:
        yield f"  runbook: {incident.runbook_url}"
    if incident.actions:
        done = ", ".join(f"{name} {status}" for name, status in incident.actions)
        yield f"  response: {done}"


def _alert(alert: ShownAlert) -> str:
    if alert.resolved_at is not None:
        when = f"resolved {_clock(alert.resolved_at)}"
    else:
        when = "" if alert.fired_at is None else f"since {_clock(alert.fired_at)}"
    quiet = ", kept quiet" if alert.kept_quiet else ""
    runbook = (
        f", runbook: {alert.runbook_url}"
        if alert.runbook_url and not when.startswith("res")
        else ""
    )
    return f"{alert.status.upper()} {alert.severity}: {alert.summary} ({when}{quiet}{runbook})"


def _clock(time: datetime) -> str:
    return f"{time:%H:%M:%S}"
