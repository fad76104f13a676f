"""One incident's state: as code, and as the record of its topic."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from inferwatch_schemas.instants import micros, micros_or_none
from inferwatch_streams.alerts.alert import RESOLVED as ALERT_RESOLVED
from inferwatch_streams.alerts.alert import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

OPEN, INVESTIGATING, MITIGATING, RESOLVED = "open", "investigating", "mitigating", "resolved"
STATUSES: Final = (OPEN, INVESTIGATING, MITIGATING, RESOLVED)
PRIORITIES: Final = ("P1", "P2", "P3", "P4")
"""From the most to the least urgent."""

#: Alerts of these severities make an incident, its priority and its end; lesser ones only show what
#: may have led to it, or came of it.
SERIOUS: Final = ("high", "critical")

WAITING, RUNNING, SUCCEEDED, FAILED = "waiting", "running", "succeeded", "failed"
SKIPPED, DRY_RUN, UNDONE = "skipped", "dry_run", "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An alert of an incident.

    Attributes:
        fingerprint: The alert.
        rule: Its rule.
        severity: Its severity.
        status: Its status as last seen.
        summary: Its summary.
        joined_at: Since when it fires: when it came to the incident, and what tells a new firing of
            it from one that was seen, however often the log is read.
    """

    fingerprint: str
    rule: str
    severity: str
    status: str
    summary: str
    joined_at: int

    @property
    def firing(self) -> tuple[int, int]:
        """Which firing of the alert, and how bad it was: the later compares greater."""
        return self.joined_at, SEVERITIES.index(self.severity)

    @property
    def serious(self) -> bool:
        """Whether the incident is made of it."""
        return self.severity in SERIOUS

    @property
    def active(self) -> bool:
        """Whether it goes on."""
        return self.status != ALERT_RESOLVED


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionState:
    """What became of a response action; as the schema has it.

    Attributes:
        name: Its name.
        status: One of those above.
        started_at: When it began.
        finished_at: When it ended; of one that is running, it is being undone then.
        attempts: How often it was tried, the one under way included; from when it is to be undone,
            how often that was.
        result: What came of it, for people.
        value_before: The metric that it is to change, before.
        value_after: And after.
        undo: How it can be undone.
    """

    name: str
    status: str = WAITING
    started_at: int | None = None
    finished_at: int | None = None
    attempts: int = 0
    result: str | None = None
    value_before: float | None = None
    value_after: float | None = None
    undo: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a timeline: when, what kind of change, by whom, and what happened."""

    at: int
    kind: str
    actor: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """The state of one incident. Times are microseconds of event time since 1970 (UTC).

    Attributes:
        incident_id: Names it: ``incident_id_of`` the alert that opened it.
        event_time: When it came to this state.
        title: One line for people.
        priority: One of ``PRIORITIES``.
        status: One of ``STATUSES``.
        transition: What changed last, as in the schema.
        transition_id: Names that change; a record with the one before only refreshes it.
        services: What it is about, sorted; so are models and hosts.
        models: See services.
        hosts: See services.
        alerts: In the order they came.
        probable_cause: What most likely led to it, for people.
        cause_fingerprint: The alert that says so.
        runbook_url: Where it says what to do.
        opened_at: When it began: when people were first to hear of an alert of it.
        acknowledge_by: By when somebody is to take it.
        resolve_by: By when it is to be over.
        acknowledged_at: When somebody took it.
        acknowledged_by: Who did.
        assignee: Who has it.
        resolved_at: When it was over.
        resolved_by: Who said so; None where its alerts did.
        escalation_level: How many times it went on for want of an answer.
        targets: Channels that are told of the last change.
        actions: Response actions in their order.
        timeline: What happened, oldest first.
        epoch: Who wrote it; 0 before it is written.
    """

    incident_id: str
    event_time: int
    title: str
    priority: str
    status: str
    transition: str
    transition_id: str
    services: tuple[str, ...]
    models: tuple[str, ...]
    hosts: tuple[str, ...]
    alerts: tuple[Member, ...]
    opened_at: int
    acknowledge_by: int
    resolve_by: int
    probable_cause: str | None = None
    cause_fingerprint: str | None = None
    runbook_url: str | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    assignee: str | None = None
    resolved_at: int | None = None
    resolved_by: str | None = None
    escalation_level: int = 0
    targets: tuple[str, ...] = ()
    actions: tuple[ActionState, ...] = ()
    timeline: tuple[Event, ...] = ()
    epoch: int = 0

    @property
    def active(self) -> bool:
        """Whether it goes on."""
        return self.status != RESOLVED

    def member(self, fingerprint: str) -> Member | None:
        """Its alert of a fingerprint."""
        return next((each for each in self.alerts if each.fingerprint == fingerprint), None)

    def action(self, name: str) -> ActionState | None:
        """Its response action of a name."""
        return next((each for each in self.actions if each.name == name), None)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The incident in a decoded record of the topic."""
        taken = {name: record[name] for name in cls.__dataclass_fields__ if name not in _CONVERTED}
        return cls(
            **taken,
            **{name: micros_or_none(record[name]) for name in _TIMES},  # type: ignore[arg-type]  # the schema holds which may be null
            **{name: tuple(record[name]) for name in _LISTS},  # type: ignore[arg-type]  # lists of text
            alerts=tuple(
                Member(**{**each, "joined_at": micros(each["joined_at"])})
                for each in record["alerts"]
            ),
            actions=tuple(
                ActionState(
                    **{
                        **each,
                        "started_at": micros_or_none(each["started_at"]),
                        "finished_at": micros_or_none(each["finished_at"]),
                    }
                )
                for each in record["actions"]
            ),
            timeline=tuple(
                Event(micros(each["at"]), each["kind"], each["actor"], each["text"])
                for each in record["timeline"]
            ),
        )

    def to_record(self) -> dict[str, Any]:
        """The record of the topic."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        record.update({name: list(record[name]) for name in _LISTS})
        for name in ("alerts", "actions", "timeline"):
            record[name] = [_fields(each) for each in record[name]]
        return record


_TIMES: Final = (
    "event_time", "opened_at", "acknowledge_by", "resolve_by", "acknowledged_at", "resolved_at",
)  # fmt: skip
_LISTS: Final = ("services", "models", "hosts", "targets")
_CONVERTED: Final = {*_TIMES, *_LISTS, "alerts", "actions", "timeline"}


def incident_id_of(fingerprint: str, opened_at: int) -> str:
    """Name of the incident that an alert opened at a time."""
    return _digest("incident", fingerprint, opened_at)


def transition_of(incident_id: str, transition: str, *cause: str | int) -> str:
    """Name of a change of an incident, by what caused it: the same whoever works it out."""
    return _digest(incident_id, transition, *cause)


def _fields(part: Any) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__dataclass_fields__}


def _digest(*parts: str | int) -> str:
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
