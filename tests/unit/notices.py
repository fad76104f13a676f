"""Notices, messages and answers for tests."""

from typing import Any

from inferwatch_streams.notifications.manner import Limit, Manner
from inferwatch_streams.notifications.message import Message, message_id
from inferwatch_streams.notifications.notice import ALERT, FIRING, RESOLVED, Notice, Origin
from inferwatch_streams.notifications.templates import Templates, Words

#: 2026-11-24 22:28:04 UTC, in microseconds.
AT = 1_795_559_284_000_000
SECOND = 1_000_000
FREE = Manner(limit=Limit(1_000_000, 1.0))


def notice(subject: str = "aa", state: str = FIRING, number: int = 1, **others: Any) -> Notice:
    """Return a notice; number tells those of a subject and state apart, and is their second."""
    given: dict[str, Any] = {
        "notice_id": f"{subject}-{state}-{number}",
        "kind": ALERT,
        "subject": subject,
        "state": state,
        "severity": "high",
        "name": "ErrorRateHigh",
        "title": f"{subject} fails",
        "labels": (("model", "m-1"), ("service", "chat")),
        "group": "g",
        "at": AT + number * SECOND,
        "since": AT,
        "until": AT + number * SECOND if state == RESOLVED else None,
        "value": 0.125,
        "threshold": 0.05,
        "samples": 1200,
        "description": "One in eight calls fails.",
        "runbook_url": "https://runbooks.example/error-rate",
    }
    return Notice(**given | others)


def origin(offset: int = 7, topic: str = "inferwatch.alerts") -> Origin:
    """Return where a notice was read, with a record that is none of a newer version."""
    return Origin(topic, "topic-id", 0, offset, AT // 1000, "aa", "alert", {"no": "record"})


def message(*notices: Notice, repeat: int = 0, active: tuple[Notice, ...] | None = None) -> Message:
    """Return a message of notices."""
    return Message(
        message_id=message_id(notices, repeat),
        group="g",
        notices=notices,
        active=notices if active is None else active,
        repeat=repeat,
        deadline=0.0,
    )


def words(told: Message, **templates: str) -> Words:
    """Return a message in words, by default the default ones."""
    return Templates(templates).words(told)
