"""The rules in force: those of a file, which may change at any time, or those that are shipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_streams.alerts.settings import AlertSettings
from inferwatch_streams.configuration.watched import WatchedFile
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


@dataclass(frozen=True, slots=True)
class Book:
    """What holds at a time.

    Attributes:
        rules: What is evaluated.
        policies: The same by name, and the built-in one.
        alerting: How alerts behave.
    """

    rules: tuple[Rule, ...]
    policies: Mapping[str, Policy]
    alerting: AlertSettings


class Rulebook:
    """Looks after the rules.

    Attributes:
        book: What holds; replaced as a whole.
    """

    def __init__(self, file: Path | None) -> None:
        """Read the rules.

        Args:
            file: Where they are; None for the shipped ones.

        Raises:
            ConfigurationError: The file cannot be used.
        """
        self._file = None if file is None else WatchedFile(file)
        self.book = _book(
            RulesFile(default_rules(), AlertSettings()) if file is None else read_file(file)
        )

    def look(self) -> bool:
        """Look whether the file has changed; where it cannot be used, say so, and go on as before.

        Returns:
            Whether other rules are in force now.
        """
        # A bad one is told once, and again when it has changed.
        if self._file is None or not self._file.changed():
            return False
        try:
            said = read_file(self._file.path)
        except ConfigurationError as error:
            metrics.RELOADS.labels("refused").inc()
            log.error("rules not reloaded, the old ones stay", error=str(error))  # noqa: TRY400  # the file is at fault
            return False
        metrics.RELOADS.labels("reloaded").inc()
        log.warning("rules reloaded", file=str(self._file.path), rules=len(said.rules))
        self.book = _book(said)
        return True


def _book(said: RulesFile) -> Book:
    metrics.RULES.set(len(said.rules))
    policies: dict[str, Policy] = {rule.name: rule for rule in said.rules}
    return Book(said.rules, {**policies, BUILT_IN.name: BUILT_IN}, said.alerting)
