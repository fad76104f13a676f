"""What every source of events yields, and what every trace format may be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime

# Replayed events are told from a service's own by this deployment.environment.name.
ENVIRONMENT: Final = "trace"


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One event before it is published.

    Attributes:
        schema: Name of its schema.
        event_time_micros: Microseconds since 1970 (UTC).
        record: The schema's fields without the event header; nullable ones may be left out.
    """

    schema: str
    event_time_micros: int
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """What a reader may be told; None leaves the format's own.

    Attributes:
        start: When the trace's own clock read zero, with a time zone.
        service: Name of the service in place of the format's.
    """

    start: datetime | None = None
    service: str | None = None
