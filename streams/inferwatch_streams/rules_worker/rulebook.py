"""The rules in force: those of a file, which may change at any time, or those that are shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_streams.alerts.settings import AlertSettings
from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.rules.reading import RulesFile, default_rules, read_file
from inferwatch_streams.rules_worker import metrics
from inferwatch_streams.rules_worker.pipeline_silent import PipelineSilent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inferwatch_streams.alerts.policy import Policy
    from inferwatch_streams.rules.definition import Rule

log = structlog.get_logger(__name__)

BUILT_IN: Final = PipelineSilent()


class Rulebook:
    """Rules, and how alerts behave.

    Attributes:
        rules: What is evaluated.
        policies: The same by name, and the built-in one.
        alerting: How alerts behave.
    """

    def __init__(self, file: Path | None) -> None:
        """Read the rules.

        Args:
            file: Where they are; None for the shipped ones.

        Raises:
            ConfigurationError: The file cannot be used.
        """
        self._file = file
        self._looked: tuple[int, ...] | None = None
        self.alerting = AlertSettings()
        self.rules: tuple[Rule, ...] = ()
        self.policies: Mapping[str, Policy] = {}
        if file is None:
            self._hold(RulesFile(default_rules(), AlertSettings()))
        else:
            self._looked = _state(file)
            self._hold(read_file(file))

    def _hold(self, said: RulesFile) -> None:
        self.rules, self.alerting = said.rules, said.alerting
        self.policies = {**{rule.name: rule for rule in said.rules}, BUILT_IN.name: BUILT_IN}
        metrics.RULES.set(len(said.rules))

    def look(self) -> bool:
        """Look whether the file has changed; where it cannot be used, say so, and go on as before.

        Returns:
            Whether other rules are in force now.
        """
        if self._file is None:
            return False
        state = _state(self._file)
        if state == self._looked:
            return False
        # A bad one is told once, and again when it has changed.
        self._looked = state
        try:
            said = read_file(self._file)
        except ConfigurationError as error:
            metrics.RELOADS.labels("refused").inc()
            log.error("rules not reloaded, the old ones stay", error=str(error))  # noqa: TRY400  # the file is at fault
            return False
        metrics.RELOADS.labels("reloaded").inc()
        log.warning("rules reloaded", file=str(self._file), rules=len(said.rules))
        self._hold(said)
        return True


def _state(file: Path) -> tuple[int, ...] | None:
    """What differs when a file was written, or replaced by another; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
