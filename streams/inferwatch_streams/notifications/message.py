"""What one channel is sent at once, and what it made of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inferwatch_streams.alerts.alert import SEVERITIES
from inferwatch_streams.notifications.notice import RESOLVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferwatch_streams.notifications.notice import Notice

DELIVERED, REFUSED, FAILED = "delivered", "refused", "failed"
MAX_DETAIL: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one channel is sent at once.

    Attributes:
        message_id: Names it: the same whoever works it out, so that receivers can tell a copy.
        group: What it is about; of a group, one message at a time is on its way.
        notices: What changed, in the order in which it did; in a repeat, what still holds.
        active: All of the group that holds now.
        repeat: How many times it was said before; 0 of news.
        deadline: Until when it is tried, in seconds of a monotonic clock.
    """

    message_id: str
    group: str
    notices: tuple[Notice, ...]
    active: tuple[Notice, ...]
    repeat: int
    deadline: float

    @property
    def newest(self) -> tuple[Notice, ...]:
        """Of each alert or incident its newest notice."""
        return tuple({notice.subject: notice for notice in self.notices}.values())

    @property
    def worst(self) -> Notice:
        """The newest notice that matters most: one that still holds, of the worst severity."""
        return max(
            self.newest, key=lambda one: (one.state != RESOLVED, severity_rank(one.severity))
        )


def severity_rank(severity: str) -> int:
    """How bad: from 0 of the least; one that is not known counts as the least."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0


def message_id(notices: Sequence[Notice], repeat: int) -> str:
    """Id of a message: that of its only notice, or a digest of all; a repeat adds its number."""
    identities = sorted(one.notice_id for one in notices)
    identity = identities[0] if len(identities) == 1 else _digest(identities)
    return f"{identity}/{repeat}" if repeat else identity


def _digest(identities: list[str]) -> str:
    return hashlib.sha256(json.dumps(identities).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a channel made of a message.

    Attributes:
        outcome: ``DELIVERED``; ``REFUSED`` where another try cannot succeed; else ``FAILED``.
        status: In a word: an HTTP or SMTP status, or timeout, connection, protocol.
        detail: In a sentence, without secrets.
        wait_seconds: For how long the channel asked to be left alone.
    """

    outcome: str
    status: str
    detail: str = ""
    wait_seconds: float | None = None
