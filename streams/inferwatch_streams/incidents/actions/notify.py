"""Has channels told of an incident: the role notifications does it, by the incident's targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.incidents.response_action import Context, Outcome, Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping


class Notify:
    """Options: ``targets``, names of channels."""

    changes = False
    idempotent = True

    def __init__(self, options: Mapping[str, Any], surroundings: Surroundings) -> None:
        self.name = surroundings.name
        targets = options.get("targets")
        if not isinstance(targets, list) or not all(isinstance(each, str) for each in targets):
            raise ConfigurationError("targets must be a list of names of channels")
        if not targets:
            raise ConfigurationError("targets is empty; name a channel")
        self._targets = tuple(targets)

    def run(self, _: Context) -> Outcome:
        """Name the channels."""
        return Outcome(f"told {', '.join(self._targets)}.", targets=self._targets)
