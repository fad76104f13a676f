"""Alerts and incidents as they are now, for whoever shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferwatch_clickhouse.client import ClickHouse

# Worst first; what is over stands last.
_ALERTS: Final = """
SELECT
    status, severity, rule, arrayMap(label -> (label.1, label.2), labels), summary, runbook_url,
    fired_at, resolved_at, silence_id IS NOT NULL OR inhibited_by IS NOT NULL
FROM alerts_now
WHERE status IN ('firing', 'acknowledged')
    OR (status = 'resolved' AND resolved_at >= {since:DateTime64(6, 'UTC')})
ORDER BY
    status = 'resolved',
    indexOf(['low', 'medium', 'high', 'critical'], severity) DESC,
    fired_at,
    rule
"""

_INCIDENTS: Final = """
SELECT
    incident_id, priority, status, title, probable_cause, runbook_url, opened_at, acknowledge_by,
    acknowledged_by, resolved_at, length(alerts),
    arrayMap(action -> (action.name, action.status), actions)
FROM incidents_now
WHERE status != 'resolved' OR resolved_at >= {since:DateTime64(6, 'UTC')}
ORDER BY status = 'resolved', priority, opened_at
"""


@dataclass(frozen=True, slots=True)
class ShownAlert:
    """An alert that fires, or was resolved of late.

    Attributes:
        status: firing, acknowledged or resolved.
        severity: low, medium, high or critical.
        rule: Its rule.
        labels: Names and values.
        summary: One line.
        runbook_url: Where it says what to do.
        fired_at: Since when.
        resolved_at: Until when.
        kept_quiet: Whether a silence or another alert keeps it from people.
    """

    status: str
    severity: str
    rule: str
    labels: tuple[tuple[str, str], ...]
    summary: str
    runbook_url: str | None
    fired_at: datetime | None
    resolved_at: datetime | None
    kept_quiet: bool


@dataclass(frozen=True, slots=True)
class ShownIncident:
    """An incident that is not over, or has been for a little while.

    Attributes:
        incident_id: Names it.
        priority: P1 to P4.
        status: open, investigating, mitigating or resolved.
        title: One line.
        probable_cause: What most likely led to it.
        runbook_url: Where it says what to do.
        opened_at: Since when.
        acknowledge_by: By when somebody is to take it.
        acknowledged_by: Who did.
        resolved_at: Until when.
        alerts: How many alerts it has.
        actions: Response actions and what became of them.
    """

    incident_id: str
    priority: str
    status: str
    title: str
    probable_cause: str | None
    runbook_url: str | None
    opened_at: datetime
    acknowledge_by: datetime
    acknowledged_by: str | None
    resolved_at: datetime | None
    alerts: int
    actions: tuple[tuple[str, str], ...]


def alerts_now(clickhouse: ClickHouse, since: datetime) -> tuple[ShownAlert, ...]:
    """Alerts that fire, and those resolved since a time, worst first.

    Raises:
        ClickHouseUnavailableError: No answer, or not now.
        ClickHouseRefusedError: The views are missing: the database is not migrated.
    """
    rows = clickhouse.query(_ALERTS, {"since": _text(since)})
    return tuple(
        ShownAlert(
            status, severity, rule, _pairs(labels), summary, runbook, fired, resolved, bool(quiet)
        )
        for status, severity, rule, labels, summary, runbook, fired, resolved, quiet in rows
    )


def incidents_now(clickhouse: ClickHouse, since: datetime) -> tuple[ShownIncident, ...]:
    """Incidents that are not over, and those resolved since a time, worst first.

    Raises:
        ClickHouseUnavailableError: No answer, or not now.
        ClickHouseRefusedError: The views are missing: the database is not migrated.
    """
    rows = clickhouse.query(_INCIDENTS, {"since": _text(since)})
    incidents = (ShownIncident(*row) for row in rows)
    return tuple(replace(each, actions=_pairs(each.actions)) for each in incidents)


def _pairs(tuples: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for first, second in tuples)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(sep=" ", timespec="microseconds").removesuffix("+00:00")
