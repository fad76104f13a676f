"""One change that somebody is to be told: of an alert, or of an incident."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRING, ACKNOWLEDGED, UPDATED, RESOLVED = "firing", "acknowledged", "updated", "resolved"
STATES: Final = (FIRING, ACKNOWLEDGED, UPDATED, RESOLVED)
ALERT, INCIDENT = "alert", "incident"


@dataclass(frozen=True, slots=True)
class Origin:
    """The record that a notice was made of, kept for a dead letter.

    Attributes:
        topic: Its topic.
        topic_id: Kafka's id of that topic.
        partition: Its partition.
        offset: Its offset.
        timestamp: Kafka's timestamp, in milliseconds since 1970 (UTC).
        key: Its key.
        schema: Name of its schema.
        record: What it says.
    """

    topic: str
    topic_id: str
    partition: int
    offset: int
    timestamp: int
    key: str
    schema: str
    record: Mapping[str, Any] = field(repr=False, compare=False, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A change, in the words that channels and templates use. Times are microseconds of event time.

    Attributes:
        notice_id: Names the change; who gets it twice knows by this.
        kind: ``ALERT`` or ``INCIDENT``.
        subject: Fingerprint of the alert, or id of the incident.
        state: One of ``STATES``; only incidents are updated.
        severity: low, medium, high or critical.
        name: The rule; of an incident its priority.
        title: One line for people.
        labels: What it is about, names and values, sorted by name.
        group: Alerts of one group are told together.
        at: When it changed.
        since: Since when it has held.
        until: When it ended.
        actor: Who acknowledged it, or did what is told.
        value: What was seen.
        threshold: What that was held against.
        samples: Events that it was made of.
        description: More for people.
        news: Of an incident, what happened, as its timeline has it.
        runbook_url: Where it says what to do.
        muted: Whether a silence or another alert keeps it from people.
        channels: Of an incident, the channels to tell.
        origin: Where it was read; None of a test.
    """

    notice_id: str
    kind: str
    subject: str
    state: str
    severity: str
    name: str
    title: str
    labels: tuple[tuple[str, str], ...]
    at: int
    since: int
    group: str = ""
    until: int | None = None
    actor: str | None = None
    value: float | None = None
    threshold: float | None = None
    samples: int | None = None
    description: str = ""
    news: str = ""
    runbook_url: str | None = None
    muted: bool = False
    channels: tuple[str, ...] = ()
    origin: Origin | None = None

    @property
    def matched(self) -> dict[str, str]:
        """What routes look at: labels, and rule and severity."""
        return {**dict(self.labels), "rule": self.name, "severity": self.severity}
