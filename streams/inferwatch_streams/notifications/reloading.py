"""The channels and routes in force: those of a file, which may change at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from inferwatch_streams.configuration.watched import WatchedFile
from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.notifications import metrics
from inferwatch_streams.notifications.configuration import (
    NotificationsConfiguration,
    read_configuration,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = structlog.get_logger(__name__)


class NotificationsFile:
    """Looks after the file.

    Attributes:
        configuration: What it said when it could be used last; nothing where there is no file.
    """

    def __init__(self, path: Path | None, environment: Mapping[str, str]) -> None:
        """Read it.

        Args:
            path: The file; without one nobody is told.
            environment: Where secrets may be.

        Raises:
            ConfigurationError: It cannot be used.
        """
        self._environment = environment
        self._file = None if path is None else WatchedFile(path)
        self.configuration = NotificationsConfiguration()
        if path is not None:
            self.configuration = read_configuration(path, environment)

    def look(self) -> NotificationsConfiguration | None:
        """Look whether it has changed; where it cannot be used, say so, and go on as before.

        Returns:
            What it says now; None where that is what it said before, or cannot be used.
        """
        # A bad one is told once, and again when it has changed.
        if self._file is None or not self._file.changed():
            return None
        try:
            self.configuration = read_configuration(self._file.path, self._environment)
        except ConfigurationError as error:
            metrics.RELOADS.labels("refused").inc()
            log.error("notifications not reloaded, the old ones stay", error=str(error))  # noqa: TRY400  # the file is at fault
            return None
        metrics.RELOADS.labels("reloaded").inc()
        log.warning(
            "notifications reloaded", file=str(self._file.path),
            channels=len(self.configuration.channels),
        )  # fmt: skip
        return self.configuration
