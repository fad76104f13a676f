"""What a component waits for, told by whoever waits, so that a stall can be explained."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Waits:
    """What is being waited for now; used from the event loop alone."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Start without any; monotonic is a clock in seconds."""
        self._monotonic = monotonic
        self._since: dict[str, float] = {}

    def begin(self, what: str) -> None:
        """Wait for something; begun again without an end, it is the same wait."""
        self._since.setdefault(what, self._monotonic())

    def end(self, what: str) -> None:
        """It came, or is no longer wanted."""
        self._since.pop(what, None)

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Wait for something within the block, however that ends."""
        self.begin(what)
        try:
            yield
        finally:
            self.end(what)

    def seconds(self) -> Mapping[str, float]:
        """How long each thing has been waited for."""
        now = self._monotonic()
        return {what: now - since for what, since in self._since.items()}
