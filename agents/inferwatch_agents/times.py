"""Times of day as Kafka's records have them: microseconds since 1970 (UTC)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def micros(time: datetime) -> int:
    """Microseconds since 1970, exactly, of a time with a time zone."""
    return (time - _EPOCH) // timedelta(microseconds=1)
