"""``gather_metrics``: windows before and since the start of an incident; and the role's meter."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from inferwatch.response_actions.reading import MINUTE, asking, span, started
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_streams.incidents.response_action import Context, Meter, Outcome, Surroundings

BEFORE: Final = 15 * MINUTE
MOST: Final = 20

_SERVICES: Final = """
SELECT service, sum(requests), sum(errors) / sum(requests),
    inferwatchQuantile(0.95, sumMap(duration_bins)),
    inferwatchQuantile(0.95, sumMap(first_token_bins))
FROM requests_10s
WHERE service IN {services:Array(String)}
    AND window_start >= {since:DateTime64(3, 'UTC')} AND window_start < {until:DateTime64(3, 'UTC')}
GROUP BY service
ORDER BY service
"""
_HOSTS: Final = """
SELECT host, metric, sum(value_sum) / sum(samples), max(max)
FROM resources_10s
WHERE host IN {hosts:Array(String)} AND metric IN {metrics:Array(String)}
    AND window_start >= {since:DateTime64(3, 'UTC')} AND window_start < {until:DateTime64(3, 'UTC')}
GROUP BY host, metric
ORDER BY host, metric
LIMIT {most:UInt32}
"""
# What may be the cause of slow answers.
_METRICS: Final = (
    "cpu_utilization_ratio", "gpu_utilization_ratio", "gpu_throttled_ratio", "queue_size",
    "requests_running", "kv_cache_utilization_ratio",
)  # fmt: skip
_METER: Final = """
SELECT sum(requests), sum(errors) / sum(requests),
    inferwatchQuantile(0.95, sumMap(duration_bins)),
    inferwatchQuantile(0.95, sumMap(first_token_bins))
FROM requests_10s
WHERE service IN {services:Array(String)}
    AND window_start >= {since:DateTime64(3, 'UTC')} AND window_start < {until:DateTime64(3, 'UTC')}
"""
_PLACES: Final = {"error_rate": 1, "p95": 2, "first_token_p95": 3}


class GatherMetrics:
    """Options: none."""

    changes = False
    idempotent = True

    def __init__(self, _: Mapping[str, Any], surroundings: Surroundings) -> None:
        self.name = surroundings.name
        self._environment = surroundings.environment

    def run(self, context: Context) -> Outcome:
        """Ask for them."""
        start = started(context)
        with asking(self._environment) as clickhouse:
            before = _lines(clickhouse, context, start - BEFORE, start)
            since = _lines(clickhouse, context, start, context.at)
        names = sorted({*before, *since})
        lines = [
            f"{name}: {before.get(name, 'nothing')} -> {since.get(name, 'nothing')}"
            for name in names
        ]
        return Outcome("15 minutes before -> since:\n" + ("\n".join(lines) or "nothing was seen"))


def meter(environment: Mapping[str, str]) -> Meter:
    """Measures over windows in ClickHouse."""

    def measured(metric: str, services: tuple[str, ...], start: int, end: int) -> float | None:
        since, until = span(start, end)
        with asking(environment) as clickhouse:
            (row,) = clickhouse.query(
                _METER, {"services": list(services), "since": since, "until": until}
            )
        value = row[_PLACES[metric]]
        return None if not row[0] or value is None else float(value)

    return measured


def _lines(clickhouse: ClickHouse, context: Context, start: int, end: int) -> dict[str, str]:
    since, until = span(start, end)
    given = {"since": since, "until": until}
    lines: dict[str, str] = {}
    if context.incident.services:
        rows: Sequence[tuple[Any, ...]] = clickhouse.query(
            _SERVICES, {**given, "services": list(context.incident.services)}
        )
        for service, requests, error_rate, p95, first_token in rows:
            lines[service] = (
                f"{requests} requests, {error_rate:.2%} errors, p95 {_seconds(p95)}, "
                f"first token p95 {_seconds(first_token)}"
            )
    if context.incident.hosts:
        rows = clickhouse.query(
            _HOSTS,
            {
                **given, "hosts": list(context.incident.hosts), "metrics": list(_METRICS),
                "most": MOST,
            },
        )  # fmt: skip
        for host, metric, average, most in rows:
            lines[f"{host} {metric}"] = f"{average:.4g}, at most {most:.4g}"
    return lines


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g} s"
