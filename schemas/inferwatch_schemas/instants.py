"""Times of records: microseconds since 1970 (UTC) as whole numbers, and back to records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(time: datetime) -> int:
    """Microseconds since 1970, exactly, of a time with a time zone."""
    return (time - _EPOCH) // _MICROSECOND


def micros_or_none(time: datetime | None) -> int | None:
    """As ``micros``; None stays None."""
    return None if time is None else micros(time)


def now_micros() -> int:
    """Microseconds since 1970 by this machine's clock."""
    return time_ns() // 1000


def moment(at: int) -> datetime:
    """The time of so many microseconds since 1970, in UTC."""
    return _EPOCH + at * _MICROSECOND


def moment_text(at: int) -> str:
    """A time for people, to the second: 2026-11-24 22:28:04Z."""
    return moment(at).strftime("%Y-%m-%d %H:%M:%SZ")
