"""One alert's state: as code, and as the record of its topic."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from inferwatch_schemas.instants import micros_or_none
from inferwatch_streams.alerts.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Mapping

PENDING, FIRING, ACKNOWLEDGED = "pending", "firing", "acknowledged"
RESOLVED, INACTIVE = "resolved", "inactive"
STATUSES: Final = (PENDING, FIRING, ACKNOWLEDGED, RESOLVED, INACTIVE)
SEVERITIES: Final = ("low", "medium", "high", "critical")
"""From the least to the worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """The state of one alert. Times are microseconds of event time since 1970 (UTC).

    Attributes:
        fingerprint: Names it: ``fingerprint_of`` its rule and labels.
        event_time: Of the evaluation, or command, that led to this state.
        rule: Name of the rule.
        kind: What the rule looks at, as in the schema.
        severity: One of ``SEVERITIES``.
        status: One of ``STATUSES``; inactive is a pending one that went away.
        transition_id: ``transition_of`` the last change of status.
        labels: Names and values, sorted by name.
        summary: One line for people.
        started_at: Since when its condition has held.
        value: What the rule saw.
        threshold: What it was held against.
        samples: Events the value was made of.
        description: More for people.
        runbook_url: Where it says what to do.
        details: What led to it, as JSON.
        fired_at: When it began to fire.
        acknowledged_at: When somebody took it.
        acknowledged_by: Who did.
        resolved_at: When it ended.
        silence_id: What keeps it from people.
        inhibited_by: Fingerprint of the alert that does.
        flapping: Whether it comes and goes so often that people are told only once.
        group_key: Alerts of one key are told together.
        epoch: Who wrote it; 0 before it is written.
    """

    fingerprint: str
    event_time: int
    rule: str
    kind: str
    severity: str
    status: str
    transition_id: str
    labels: tuple[tuple[str, str], ...]
    summary: str
    started_at: int
    value: float | None = None
    threshold: float | None = None
    samples: int | None = None
    description: str = ""
    runbook_url: str | None = None
    details: str | None = None
    fired_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    resolved_at: int | None = None
    silence_id: str | None = None
    inhibited_by: str | None = None
    flapping: bool = False
    group_key: str = ""
    epoch: int = 0

    @property
    def told(self) -> bool:
        """Whether people are to hear of it: nothing keeps it from them."""
        return self.silence_id is None and self.inhibited_by is None

    @property
    def memory(self) -> Memory:
        """What the state machine keeps in the details."""
        return Memory.of_details(self.details)[0]

    @property
    def found(self) -> dict[str, Any]:
        """What the rule told in the details: windows, burn rates, baseline."""
        return Memory.of_details(self.details)[1]

    @property
    def notification_id(self) -> str | None:
        """What people are told once of: another id is another thing to tell; None is nothing.

        It is the ``transition_id`` where people are told of the change of status itself. It differs
        from that where they are told again of what goes on (the end of a silence), and is None
        while they are not to be told: pending, silenced, inhibited, flapping, or the end of what
        they never heard of.
        """
        return self.memory.notification_id

    @property
    def matched(self) -> dict[str, str]:
        """What matchers look at: its labels, and its rule and severity."""
        return {**dict(self.labels), "rule": self.rule, "severity": self.severity}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The alert in a decoded record of the topic."""
        taken = {
            name: record[name]
            for name in cls.__dataclass_fields__
            if name not in (*_TIMES, "labels")
        }
        times = {name: micros_or_none(record[name]) for name in _TIMES}
        labels = tuple((label["name"], label["value"]) for label in record["labels"])
        return cls(**taken, **times, labels=labels)  # type: ignore[arg-type]  # the schema holds which may be null

    def to_record(self) -> dict[str, Any]:
        """The record of the topic."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        record["labels"] = [{"name": name, "value": value} for name, value in self.labels]
        return record


_TIMES: Final = (
    "event_time", "started_at", "fired_at", "acknowledged_at", "resolved_at",
)  # fmt: skip


def severity_rank(severity: str) -> int:
    """How bad a severity is; one that is not known, as of a newer version, is the least."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else -1


def fingerprint_of(rule: str, labels: Mapping[str, str]) -> str:
    """Sixteen hexadecimal digits that name the alert of a rule and labels."""
    return _digest(rule, sorted(labels.items()))


def transition_of(fingerprint: str, status: str, at: int) -> str:
    """Name of the change of an alert to a status, at a time: the same whoever works it out."""
    return _digest(fingerprint, status, at)


def _digest(*parts: Any) -> str:
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
