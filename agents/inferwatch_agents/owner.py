"""Who gets calls, as calls see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from inferwatch_agents.calls import Call


class Owner(Protocol):
    """The SDK once it is initialised."""

    service: str
    environment: str

    def began(self, call: Call) -> None:
        """A call has begun."""
        ...

    def ended(self, call: Call) -> None:
        """A call has ended, with all that is known of it."""
        ...

    def fault(self, where: str, error: BaseException) -> None:
        """Something here failed that the caller must not see."""
        ...
