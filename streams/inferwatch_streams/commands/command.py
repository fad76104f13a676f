"""One command: as code, and as the record of its topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from inferwatch_schemas.instants import micros, micros_or_none
from inferwatch_streams.alerts.matcher import Matcher

if TYPE_CHECKING:
    from collections.abc import Mapping

ACKNOWLEDGE, UNACKNOWLEDGE = "acknowledge", "unacknowledge"
SILENCE, UNSILENCE = "silence", "unsilence"
ASSIGN, INVESTIGATE, MITIGATE, RESOLVE = "assign", "investigate", "mitigate", "resolve"
COMMENT, ESCALATE, APPROVE, UNDO = "comment", "escalate", "approve", "undo"
ACTIONS: Final = (
    ACKNOWLEDGE, UNACKNOWLEDGE, SILENCE, UNSILENCE, ASSIGN, INVESTIGATE, MITIGATE, RESOLVE, COMMENT,
    ESCALATE, APPROVE, UNDO,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What somebody wants done. Times are microseconds since 1970 (UTC).

    Attributes:
        command_id: Unique; one that comes twice is done once.
        event_time: When it was given.
        actor: Who gave it.
        action: One of ``ACTIONS``; others are known to newer versions.
        target: Fingerprint, incident id or silence id.
        text: The comment, or the reason.
        assignee: With assign, who.
        response_action: With approve and undo, which.
        starts_at: With silence, from when; at once when None.
        ends_at: With silence, until when.
        matchers: With silence, what for.
    """

    command_id: str
    event_time: int
    actor: str
    action: str
    target: str
    text: str | None = None
    assignee: str | None = None
    response_action: str | None = None
    starts_at: int | None = None
    ends_at: int | None = None
    matchers: tuple[Matcher, ...] = ()

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The command in a decoded record of the topic.

        Raises:
            MatcherError: A matcher is none.
        """
        return cls(
            command_id=record["command_id"],
            event_time=micros(record["event_time"]),
            actor=record["actor"],
            action=record["action"],
            target=record["target"],
            text=record["text"],
            assignee=record["assignee"],
            response_action=record["response_action"],
            starts_at=micros_or_none(record["starts_at"]),
            ends_at=micros_or_none(record["ends_at"]),
            matchers=tuple(Matcher.from_record(each) for each in record["matchers"]),
        )

    def to_record(self) -> dict[str, Any]:
        """The record of the topic."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        record["matchers"] = [matcher.to_record() for matcher in self.matchers]
        return record
