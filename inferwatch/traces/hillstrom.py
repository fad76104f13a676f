"""Hillstrom's e-mail experiment: 64,000 users, three arms, visits, conversions and spend.

Source: MineThatData E-Mail Analytics and Data Mining Challenge (2008), one CSV row a user.

The data has no times of single events: they are synthesised here, by rule and not by chance. The
user of row n sees their arm n - 1 seconds after the start; one who visits does so 1 to 60 minutes
later, one who buys another 1 to 30 minutes later, both spread by a hash of n. The user's id is the
row's number. Visit and conversion are worth 1, spend what was spent in dollars.
"""

from __future__ import annotations

import heapq
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from inferwatch.traces.events import ENVIRONMENT, TraceEvent, TraceOptions
from inferwatch.traces.rows import Row, csv_rows
from inferwatch_schemas.instants import micros

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The challenge was published in March 2008; the day is chosen.
START: Final = datetime(2008, 3, 20, tzinfo=UTC)
SERVICE: Final = "hillstrom-email"
EXPERIMENT: Final = "hillstrom_email"
COLUMNS: Final = ("segment", "visit", "conversion", "spend")
SECOND: Final = 1_000_000
VISIT_SECONDS: Final = (60, 3600)
PURCHASE_SECONDS: Final = (60, 1800)


def read(path: Path, options: TraceOptions) -> Iterator[TraceEvent]:
    """One exposure a user, and a conversion for each thing they did, in order of time.

    Raises:
        TraceError: The file is not of this format.
    """
    start = micros(options.start or START)
    later: list[tuple[int, int, TraceEvent]] = []
    made = 0
    for number, row in enumerate(csv_rows(path, COLUMNS), start=1):
        at = start + (number - 1) * SECOND
        while later and later[0][0] < at:
            yield heapq.heappop(later)[2]
        unit = {
            "service_name": options.service or SERVICE,
            "deployment_environment_name": ENVIRONMENT,
            "experiment": EXPERIMENT,
            "variant": row.text("segment"),
            "user_id": str(number),
        }
        yield TraceEvent("exposure", at, unit)
        for event in _conversions(row, unit, at, number):
            made += 1
            heapq.heappush(later, (event.event_time_micros, made, event))
    while later:
        yield heapq.heappop(later)[2]


def _conversions(row: Row, unit: dict[str, Any], at: int, number: int) -> Iterator[TraceEvent]:
    def did(time: int, metric: str, value: float) -> TraceEvent:
        return TraceEvent("conversion", time, {**unit, "metric": metric, "value": value})

    visited, bought = _flag(row, "visit"), _flag(row, "conversion")
    spend = row.number("spend")
    visit = at + _spread(number, *VISIT_SECONDS)
    purchase = visit + _spread(number ^ 0x5BD1E995, *PURCHASE_SECONDS)
    if visited:
        yield did(visit, "visit", 1.0)
    if bought:
        yield did(purchase, "conversion", 1.0)
    if spend > 0:
        yield did(purchase, "spend", spend)


def _flag(row: Row, field: str) -> bool:
    value = row.text(field)
    if value not in ("0", "1"):
        raise row.error(field, "0 or 1")
    return value == "1"


def _spread(number: int, low: int, high: int) -> int:
    """Microseconds from low to high seconds: multiplicative hashing (Knuth, TAOCP 3, 6.4)."""
    hashed = number * 2654435761 % 2**32
    return low * SECOND + hashed * (high - low) * SECOND // 2**32
