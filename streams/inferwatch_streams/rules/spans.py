"""Spans of event time that windows answer exactly: their bounds lie on slots.

Windows keep the newest quarter of an hour by 10 seconds, the rest of six hours by the minute, and
the rest by the hour (windows/). A span that began within a slot would count what lies before it:
so it begins where the slot does, is up to a slot longer than asked for, and knows its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inferwatch_streams.configuration.durations import DAY, HOUR, MINUTE, SECOND

SLOT: Final = 10 * SECOND
FINE: Final = 15 * MINUTE
"""Up to this age, slots are 10 seconds long."""
MIDDLE: Final = 6 * HOUR
"""Up to this age, a minute."""
PAST: Final = 8 * DAY
"""Up to this age there are slots."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From ``start`` up to ``end``, in microseconds since 1970."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start) / SECOND


def slot_at(age: int) -> int:
    """Length of the slots of an age. At the turn it is the longer one, whichever holds there."""
    if age < FINE - SLOT:
        return SLOT
    return MINUTE if age < MIDDLE - MINUTE else HOUR


def span_until(at: int, window: int) -> Span:
    """The span of at least ``window`` that ends at the present."""
    return Span(_down(at - window, slot_at(window)), at)


def past_span(at: int, past: int, window: int) -> Span:
    """The span of at least ``window`` that ended so long ago, and before one that ends now."""
    # An end within a slot goes up, as the time of day is what is compared.
    end = min(-_down(past - at, slot_at(past)), span_until(at, window).start)
    return Span(_down(end - window, slot_at(at - end + window)), end)


def slot_before(at: int, time: int) -> int:
    """The time, or the last before it, at which a span may end that holds nothing later."""
    return _down(time, slot_at(at - time))


def whole_spans(at: int, step: int, count: int) -> list[Span]:
    """The newest whole steps of event time, oldest first."""
    end = _down(at, step)
    return [Span(end - step * n, end - step * (n - 1)) for n in range(count, 0, -1)]


def _down(time: int, slot: int) -> int:
    return time // slot * slot
