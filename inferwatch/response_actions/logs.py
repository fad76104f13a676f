"""``collect_logs``: the error logs, and the traces that failed, around the start of an incident."""

from collections.abc import Mapping
from typing import Any, Final

from inferwatch.response_actions.reading import MINUTE, asking, span, started
from inferwatch_streams.incidents.response_action import Context, Outcome, Surroundings

AROUND: Final = 5 * MINUTE
MOST: Final = 5

# severity_number from 17 on is ERROR: OpenTelemetry, logs data model.
_LOGS: Final = """
SELECT service, count(), any(substring(coalesce(exception_type, error_type, ''), 1, 100)),
    substring(body, 1, 160) AS said, any(trace_id)
FROM logs
WHERE service IN {services:Array(String)} AND severity_number >= 17
    AND event_time >= {since:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')}
GROUP BY service, said
ORDER BY count() DESC, service, said
LIMIT {most:UInt32}
"""
_TRACES: Final = """
SELECT trace_id, any(service), any(name), any(coalesce(error_type, status_message, ''))
FROM spans
WHERE service IN {services:Array(String)} AND status_code = 'error'
    AND event_time >= {since:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')}
GROUP BY trace_id
ORDER BY min(start_time), trace_id
LIMIT {most:UInt32}
"""


class CollectLogs:
    """Options: none."""

    changes = False
    idempotent = True

    def __init__(self, _: Mapping[str, Any], surroundings: Surroundings) -> None:
        self.name = surroundings.name
        self._environment = surroundings.environment

    def run(self, context: Context) -> Outcome:
        """Ask for them."""
        services = list(context.incident.services)
        if not services:
            return Outcome("the incident names no service.")
        start = started(context)
        since, until = span(start - AROUND, min(context.at, start + AROUND))
        given = {"services": services, "since": since, "until": until, "most": MOST}
        with asking(self._environment) as clickhouse:
            logs = clickhouse.query(_LOGS, given)
            traces = clickhouse.query(_TRACES, given)
        lines = [
            f"{count} x {service}: {f'{error}: ' if error else ''}{said}"
            f"{f' (trace {trace})' if trace else ''}"
            for service, count, error, said, trace in logs
        ] or ["no error logs"]
        lines += [
            f"trace {trace}: {service} {name}{f', {error}' if error else ''}"
            for trace, service, name, error in traces
        ] or ["no failed traces"]
        return Outcome(f"{since:%H:%M:%S} to {until:%H:%M:%S}Z:\n" + "\n".join(lines))
