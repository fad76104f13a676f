"""An alert as the state machine has it: its columns, its memory, and what its rule told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from inferwatch_streams.alerts.alert import (
    ACKNOWLEDGED,
    FIRING,
    PENDING,
    Alert,
    transition_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_streams.alerts.memory import Memory

FIRES: Final = (FIRING, ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Tracked:
    """One alert; its details are put together only where it is written.

    Attributes:
        alert: Its columns, as last written or about to be.
        memory: What its columns do not say.
        found: Details of its rule.
    """

    alert: Alert
    memory: Memory
    found: Mapping[str, Any]

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """As its record has it."""
        return cls(alert, alert.memory, alert.found)

    @property
    def fires(self) -> bool:
        """Whether it is firing, be it acknowledged."""
        return self.alert.status in FIRES

    @property
    def over(self) -> bool:
        """Whether it is resolved or inactive: its condition would begin a new episode."""
        return self.alert.status not in (*FIRES, PENDING)

    @property
    def active(self) -> bool:
        """Whether a tick may change it though nothing is found for it."""
        return not self.over or self.memory.held or self.alert.flapping or self.memory.heard

    def columns(self, **changes: Any) -> Self:
        """The same with other columns."""
        return replace(self, alert=replace(self.alert, **changes))

    def remembering(self, **changes: Any) -> Self:
        """The same with another memory."""
        return replace(self, memory=replace(self.memory, **changes))

    def turned(self, status: str, at: int, **changes: Any) -> Self:
        """The same after a change of status."""
        name = transition_of(self.alert.fingerprint, status, at)
        return self.columns(status=status, transition_id=name, **changes)

    def written(self, event_time: int) -> Self:
        """As it goes to the topic, by whoever leads."""
        details = self.memory.to_details(self.found)
        return self.columns(event_time=event_time, details=details, epoch=0)
