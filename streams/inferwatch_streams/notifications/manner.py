"""How a channel is told: when its groups are, how much, and for how long it is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Timing:
    """When a group is told, in seconds; named as in Alertmanager.

    Attributes:
        group_wait: From its first change to its first message.
        group_interval: From one message to the next with other changes.
        repeat_interval: From one message to saying again what still holds; ``NEVER`` for not.
    """

    group_wait: float = 0.0
    group_interval: float = 0.0
    repeat_interval: float = NEVER


@dataclass(frozen=True, slots=True)
class Limit:
    """How much a channel is sent: so many messages in so many seconds, and all of them at once."""

    messages: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Manner:
    """How a channel is told.

    Attributes:
        limit: Most messages.
        in_flight: Most messages on their way at once.
        give_up_seconds: For how long a message is tried from when it was due.
        one_by_one: Whether a message tells one notice alone.
        mirrors: Whether every message shows all that holds, silenced or not, as a copy of our
            state, and not only news.
    """

    limit: Limit
    in_flight: int = 8
    give_up_seconds: float = 600.0
    one_by_one: bool = False
    mirrors: bool = False
