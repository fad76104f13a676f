"""The policy in force and its actions: those of a file, which may change at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from inferwatch_streams.configuration.watched import WatchedFile
from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.incidents import metrics
from inferwatch_streams.incidents.policy import Policy
from inferwatch_streams.incidents.policy_file import actions_of, read_policy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inferwatch_streams.incidents.response_action import ResponseAction

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Decided:
    """A policy, with its actions by name."""

    policy: Policy
    actions: Mapping[str, ResponseAction]


class PolicyFile:
    """Looks after the file.

    Attributes:
        decided: What it said when it could be used last; the shipped policy where there is no file.
    """

    def __init__(self, path: Path | None, environment: Mapping[str, str]) -> None:
        """Read it, and make its actions.

        Args:
            path: The file; without one the shipped policy holds.
            environment: What actions take connections and secrets from.

        Raises:
            ConfigurationError: It cannot be used.
        """
        self._environment = environment
        self._file = None if path is None else WatchedFile(path)
        self.decided = self._read()

    def look(self) -> Decided | None:
        """Look whether it has changed; where it cannot be used, say so, and go on as before.

        Returns:
            What it says now; None where that is what it said before, or cannot be used.
        """
        # A bad one is told once, and again when it has changed.
        if self._file is None or not self._file.changed():
            return None
        try:
            self.decided = self._read()
        except ConfigurationError as error:
            metrics.RELOADS.labels("refused").inc()
            log.error("incidents not reloaded, the old policy stays", error=str(error))  # noqa: TRY400  # the file is at fault
            return None
        metrics.RELOADS.labels("reloaded").inc()
        log.warning(
            "incidents reloaded", file=str(self._file.path), actions=len(self.decided.actions)
        )
        return self.decided

    def _read(self) -> Decided:
        policy, file = (Policy(), None) if self._file is None else read_policy(self._file.path)
        return Decided(policy, actions_of(policy, file, self._environment))
