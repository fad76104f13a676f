"""Maintenance windows: times, planned in the rules file, in which alerts are kept from people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Self
from zoneinfo import ZoneInfo

from inferwatch_schemas.instants import micros, moment
from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.errors import StreamsSettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, tzinfo

ID_PREFIX: Final = "maintenance/"
WEEKDAYS: Final = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip
_DAY_MINUTES: Final = 24 * 60
# YAML 1.1 reads 22:00 without quotes as the number 1320, which are just the minutes.
_CLOCK: Final = {
    "anyOf": [
        {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
        {"type": "integer", "minimum": 0, "maximum": _DAY_MINUTES - 1},
    ]
}
_INSTANT: Final = {"format": "date-time"}
#: JSON Schema of one in a file.
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "Alerts that fulfil the matchers are kept from people: every week, with from "
    "and to, or once, with start and end.",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"},
        "matchers": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string"},
            "description": 'All must match, as in service="chat"; also rule and severity.',
        },
        "weekdays": {
            "type": "array",
            "minItems": 1,
            "items": {"enum": [*WEEKDAYS]},
            "description": "Days on which it begins; every day when left out.",
        },
        "from": {**_CLOCK, "description": "When it begins, by the clock there, as 22:00."},
        "to": {**_CLOCK, "description": "When it ends; on the next day where not later than from."},
        "time_zone": {
            "type": "string",
            "description": "Whose clock, as Europe/Berlin; UTC when left out.",
        },
        "start": {**_INSTANT, "description": "When it begins, as 2026-12-01T08:00:00Z."},
        "end": {**_INSTANT, "description": "When it ends."},
    },
    "required": ["name", "matchers"],
    "additionalProperties": False,
    "oneOf": [
        {
            "required": ["from", "to"],
            "not": {"anyOf": [{"required": ["start"]}, {"required": ["end"]}]},
        },
        {
            "required": ["start", "end"],
            "not": {
                "anyOf": [{"required": [name]} for name in ("from", "to", "weekdays", "time_zone")]
            },
        },
    ],
}


@dataclass(frozen=True, slots=True)
class Once:
    """From an instant until another, in microseconds since 1970 (UTC)."""

    start: int
    end: int

    def holds(self, at: int) -> bool:
        """Whether a time is in it."""
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class Weekly:
    """On some days of each week, from one time of the clock until the next such time of another.

    Where clocks are changed a time of the clock may come twice, or never; the window then takes the
    earliest that its beginning can mean, and the latest that its end can (PEP 495), so that it is
    longer that day and never shorter.

    Attributes:
        weekdays: Days on which it begins; 0 is Monday.
        begins: When.
        ends: Until when; on the next day where not later than ``begins``.
        zone: Whose clock.
    """

    weekdays: frozenset[int]
    begins: time
    ends: time
    zone: tzinfo

    def holds(self, at: int) -> bool:
        """Whether a time is in it."""
        today = moment(at).astimezone(self.zone).date()
        # Yesterday's may go on; and where it takes the earliest meaning, tomorrow's may have begun.
        return any(
            day.weekday() in self.weekdays and self._on(day, at)
            for day in (today + timedelta(days=offset) for offset in (-1, 0, 1))
        )

    def _on(self, day: date, at: int) -> bool:
        start, end = _bounds(self, day)
        return start <= at < end


@lru_cache(maxsize=4096)
def _bounds(window: Weekly, day: date) -> tuple[int, int]:
    last = day if window.ends > window.begins else day + timedelta(days=1)
    return (
        min(_meanings(day, window.begins, window.zone)),
        max(_meanings(last, window.ends, window.zone)),
    )


def _meanings(day: date, clock: time, zone: tzinfo) -> tuple[int, int]:
    local = datetime.combine(day, clock, tzinfo=zone)
    first, second = (micros(local.replace(fold=fold).astimezone(UTC)) for fold in (0, 1))
    return first, second


@dataclass(frozen=True, slots=True)
class Maintenance:
    """One maintenance window.

    Attributes:
        name: Unique in the file.
        matchers: All must match.
        when: Its times.
    """

    name: str
    matchers: tuple[Matcher, ...]
    when: Once | Weekly

    @property
    def silence_id(self) -> str:
        """What alerts that it keeps from people say."""
        return f"{ID_PREFIX}{self.name}"

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> Self:
        """One of a file, which fulfils ``SCHEMA``.

        Raises:
            MatcherError: A matcher is none.
            StreamsSettingsError: A time or time zone is none.
        """
        matchers = tuple(Matcher.parse(text) for text in entry["matchers"])
        return cls(entry["name"], matchers, _once(entry) if "start" in entry else _weekly(entry))


def _once(entry: Mapping[str, Any]) -> Once:
    start, end = (_instant(name, entry[name]) for name in ("start", "end"))
    if end <= start:
        raise StreamsSettingsError("end is not after start.")
    return Once(start, end)


def _weekly(entry: Mapping[str, Any]) -> Weekly:
    days = frozenset(WEEKDAYS.index(day) for day in entry.get("weekdays", WEEKDAYS))
    return Weekly(days, _clock(entry["from"]), _clock(entry["to"]), _zone(entry.get("time_zone")))


def _clock(written: str | int) -> time:
    return time(*divmod(written, 60)) if isinstance(written, int) else time.fromisoformat(written)


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise StreamsSettingsError(
            f"{name!r} is no time zone that this system knows; write as Europe/Berlin, and where "
            "that is not known, install the package tzdata."
        ) from error


def _instant(field: str, written: Any) -> int:
    found = written
    if isinstance(written, str):
        try:
            found = datetime.fromisoformat(written)
        except ValueError:
            found = None
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise StreamsSettingsError(
            f"{field} is {written!s}; write time and offset, as 2026-12-01T08:00:00Z."
        )
    return micros(found)
