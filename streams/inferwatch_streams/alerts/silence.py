"""Silences: alerts that match are kept from people for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from inferwatch_schemas.instants import micros
from inferwatch_streams.alerts.matcher import Matcher, all_match

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_PREFIX: Final = "silence/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """One silence. Times are microseconds of event time since 1970 (UTC).

    Attributes:
        silence_id: Names it.
        event_time: When it was made or changed.
        matchers: All must match.
        starts_at: From when.
        ends_at: Until when.
        actor: Who made it.
        reason: Why.
        epoch: Who wrote it; 0 before it is written.
    """

    silence_id: str
    event_time: int
    matchers: tuple[Matcher, ...]
    starts_at: int
    ends_at: int
    actor: str
    reason: str
    epoch: int = 0

    @property
    def key(self) -> str:
        """Key of its record."""
        return f"{KEY_PREFIX}{self.silence_id}"

    def silences(self, labels: Mapping[str, str], at: int) -> bool:
        """Whether it keeps an alert of such labels from people at a time."""
        return self.starts_at <= at < self.ends_at and all_match(self.matchers, labels)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The silence in a decoded record of the topic.

        Raises:
            MatcherError: A matcher is none.
        """
        return cls(
            silence_id=record["silence_id"],
            event_time=micros(record["event_time"]),
            matchers=tuple(Matcher.from_record(each) for each in record["matchers"]),
            starts_at=micros(record["starts_at"]),
            ends_at=micros(record["ends_at"]),
            actor=record["actor"],
            reason=record["reason"],
            epoch=record["epoch"],
        )

    def to_record(self) -> dict[str, Any]:
        """The record of the topic."""
        return {
            "silence_id": self.silence_id,
            "event_time": self.event_time,
            "matchers": [matcher.to_record() for matcher in self.matchers],
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "actor": self.actor,
            "reason": self.reason,
            "epoch": self.epoch,
        }
