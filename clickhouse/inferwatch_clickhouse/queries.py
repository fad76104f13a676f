"""What the live view and the final summary of a demo ask, as typed functions.

Times are event times, and aware. A stretch of time reaches from ``since`` up to but excluding
``until``, and holds the windows that start in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from inferwatch_clickhouse.tables import TABLES

if TYPE_CHECKING:
    from inferwatch_clickhouse.client import ClickHouse

WINDOW_SECONDS: Final = 10
"""Length of the base windows, of which all others are made."""

_SERVICES: Final = """
SELECT
    service,
    model,
    sum(requests),
    sum(errors),
    inferwatchQuantile(0.5, sumMap(duration_bins)),
    inferwatchQuantile(0.95, sumMap(duration_bins)),
    inferwatchQuantile(0.99, sumMap(duration_bins)),
    sum(output_tokens),
    if(sum(priced_requests) = 0, NULL, sum(cost_usd_micros) / 1e6)
FROM requests_10s
WHERE window_start >= {since:DateTime64(3, 'UTC')} AND window_start < {until:DateTime64(3, 'UTC')}
GROUP BY service, model
ORDER BY service, model
"""

_TOTALS: Final = """
SELECT
    sum(requests),
    sum(errors),
    sum(input_tokens),
    sum(output_tokens),
    if(sum(priced_requests) = 0, NULL, sum(cost_usd_micros) / 1e6),
    inferwatchQuantile(0.5, sumMap(duration_bins)),
    inferwatchQuantile(0.95, sumMap(duration_bins)),
    inferwatchQuantile(0.99, sumMap(duration_bins)),
    if(count() = 0, NULL, min(window_start)),
    if(count() = 0, NULL, max(window_start)),
    (SELECT sum(samples) FROM resources_1h),
    (SELECT sum(exposures) FROM exposures_1h),
    (SELECT sum(conversions) FROM conversions_1h),
    (SELECT sum(evaluations) FROM evaluations_1h)
FROM requests_10s
"""

# One bad record may be in the dead letters of several readers.
_DEAD_LETTERS: Final = """
SELECT reason, uniqExact(topic_id, partition, offset)
FROM dead_letters
GROUP BY reason
ORDER BY reason
"""


@dataclass(frozen=True, slots=True)
class ServiceRates:
    """How one service did with one model over a stretch of event time.

    Attributes:
        service: Name of the service.
        model: Requested model; empty when not known.
        requests: Calls.
        errors: Calls that failed.
        requests_per_second: Calls over the length of the stretch.
        error_rate: Share of calls that failed, 0 to 1.
        p50: Median of the duration in seconds, within 1.1 %; None when none was measured.
        p95: 95th percentile likewise.
        p99: 99th percentile likewise.
        tokens_per_second: Output tokens over the length of the stretch.
        cost_usd_per_hour: At the rate of the stretch; None when no call has a price.
    """

    service: str
    model: str
    requests: int
    errors: int
    requests_per_second: float
    error_rate: float
    p50: float | None
    p95: float | None
    p99: float | None
    tokens_per_second: float
    cost_usd_per_hour: float | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything that was counted.

    Attributes:
        requests: Calls.
        errors: Calls that failed.
        input_tokens: Sum.
        output_tokens: Sum.
        cost_usd: Sum over the calls with a price; None when there is none.
        p50: Median of the duration in seconds, within 1.1 %; None when none was measured.
        p95: 95th percentile likewise.
        p99: 99th percentile likewise.
        first_window: Start of the first window of requests; None without requests.
        last_window: Start of the last one.
        measurements: Values measured by all resource samples.
        exposures: Exposure events.
        conversions: Conversion events.
        evaluations: Quality scores, those included that no judge gave.
    """

    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    first_window: datetime | None
    last_window: datetime | None
    measurements: int
    exposures: int
    conversions: int
    evaluations: int


def service_rates(
    clickhouse: ClickHouse, until: datetime, seconds: float
) -> tuple[ServiceRates, ...]:
    """How each service did with each model, by service and model.

    The stretch starts with the window that holds ``until - seconds``, so it is up to 10 seconds
    longer than asked; rates are over its true length. Events later than ``until`` in its window
    count too, so ``until`` is best the time of the newest event.

    Args:
        clickhouse: Where to ask.
        until: End of the stretch.
        seconds: Its length, above 0.

    Raises:
        ClickHouseUnavailableError: No answer, or not now.
        ClickHouseRefusedError: The views are missing: the database is not migrated.
    """
    end = until.timestamp()
    start = (end - seconds) // WINDOW_SECONDS * WINDOW_SECONDS
    length = end - start
    rows = clickhouse.query(
        _SERVICES, {"since": _text(datetime.fromtimestamp(start, UTC)), "until": _text(until)}
    )
    return tuple(
        ServiceRates(
            service=service,
            model=model,
            requests=requests,
            errors=errors,
            requests_per_second=requests / length,
            error_rate=errors / requests,
            p50=p50,
            p95=p95,
            p99=p99,
            tokens_per_second=output_tokens / length,
            cost_usd_per_hour=None if cost_usd is None else cost_usd / length * 3600,
        )
        for service, model, requests, errors, p50, p95, p99, output_tokens, cost_usd in rows
    )


def latest_window(clickhouse: ClickHouse) -> datetime | None:
    """Start of the latest window of requests, or None when there is none.

    Asks the stored rows, superseded ones included: they have the same windows.

    Raises:
        ClickHouseUnavailableError: No answer, or not now.
        ClickHouseRefusedError: The tables are missing: the database is not migrated.
    """
    table = TABLES["request_aggregate"].storage
    # The table's name is ours.
    rows = clickhouse.query(f"SELECT count(), max(window_start) FROM {table}")  # noqa: S608
    count, latest = rows[0]
    return latest if count else None


def dead_letters_by_reason(clickhouse: ClickHouse) -> dict[str, int]:
    """How many records could not be read, by reason.

    Raises:
        ClickHouseUnavailableError: No answer, or not now.
        ClickHouseRefusedError: The views are missing: the database is not migrated.
    """
    return dict(clickhouse.query(_DEAD_LETTERS))


def totals(clickhouse: ClickHouse) -> Totals:
    """Everything that was counted, over all time.

    Raises:
        ClickHouseUnavailableError: No answer, or not now.
        ClickHouseRefusedError: The views are missing: the database is not migrated.
    """
    return Totals(*clickhouse.query(_TOTALS)[0])


def stored_records(clickhouse: ClickHouse) -> dict[str, int]:
    """How many records each view holds, by the view's name, each record counted once.

    Raises:
        ClickHouseUnavailableError: No answer, or not now.
        ClickHouseRefusedError: The views are missing: the database is not migrated.
    """
    counts = " UNION ALL ".join(
        f"SELECT '{table.view}', count() FROM {table.view}"  # noqa: S608  # the names are ours
        for table in TABLES.values()
    )
    return dict(clickhouse.query(counts))


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
