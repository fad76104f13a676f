"""The folder of tallies: each process of a service on this host has a file, while it lives.

A file whose process has died tells of numbers that nobody else knows of; the next process of the
same service claims and reports it (``ends``). The folder is bounded in files and in their age.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_agents.errors import ConfigurationError
from inferwatch_agents.tally import SUPPORTED, Dead, Tally, Told, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

OFF: Final = "off"
# In memory and not on a disk: a write to a mapped file may wait for the disk.
MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a folder of our own in it, whose owner is checked
# Of 4 KiB each.
MAX_FILES: Final = 1000
# What nobody has claimed by then, nobody will: its service is gone, or has another name or Kafka.
MAX_AGE_SECONDS: Final = 7 * 24 * 3600
AT_ONCE: Final = 100

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a dead process has left, for this one alone.

    Attributes:
        file: To be removed when it was reported, else released.
        producer_id: Of the process.
        told: What it had made.
    """

    file: Dead
    producer_id: str
    told: Told


class Spool:
    """The tallies of one service: one name, environment and Kafka.

    Attributes:
        service: OpenTelemetry service.name.
        environment: OpenTelemetry deployment.environment.name.
    """

    def __init__(self, folder: Path | None, service: str, environment: str, kafka: str) -> None:
        """Nothing is done yet.

        Args:
            folder: An existing folder; None to keep nothing.
            service: As above.
            environment: As above.
            kafka: Its bootstrap servers: what landed elsewhere is not missing here.
        """
        self.service = service
        self.environment = environment
        self._folder = folder
        key = f"{service}\0{environment}\0{kafka}".encode(errors="backslashreplace")
        self._prefix = hashlib.sha256(key).hexdigest()[:16]

    def create(self, producer_id: str) -> Tally | None:
        """The file of this process; None where none are kept.

        Raises:
            OSError: It cannot be made.
        """
        if self._folder is None:
            return None
        if sum(1 for _ in self._folder.iterdir()) >= MAX_FILES:
            raise OSError(f"{self._folder} has {MAX_FILES} files.")
        return Tally(self._folder / f"{self._prefix}.{producer_id}")

    def claim(self) -> Iterator[Claimed]:
        """Processes of this service that have died, one after the other, a hundred at most.

        Files without a number, or too old, are removed.

        Raises:
            OSError: The folder cannot be read.
        """
        if self._folder is None:
            return
        claimed = 0
        for path in list(self._folder.iterdir()):
            try:
                if _may_be_in_the_making(path):
                    continue
                file = Dead(path)
            except OSError:
                # Of a process that lives, or that another claims.
                continue
            told = _told(file)
            if path.name.startswith(f"{self._prefix}.") and told is not None and claimed < AT_ONCE:
                if told.made:
                    claimed += 1
                    yield Claimed(file, path.name.partition(".")[2], told)
                else:
                    file.remove()
            elif time.time() - _last_change(file, told) > MAX_AGE_SECONDS:
                file.remove()
            else:
                file.release()


def open_spool(given: str | None, service: str, environment: str, kafka: str) -> Spool:
    """The spool of a service.

    Args:
        given: A folder, made where it does not exist, or ``off``; one of this user in memory, or
            among the temporary files, when None.
        service: OpenTelemetry service.name.
        environment: OpenTelemetry deployment.environment.name.
        kafka: Bootstrap servers.

    Raises:
        ConfigurationError: The folder given cannot be used.
    """
    folder = None
    if SUPPORTED and given != OFF:
        folder = Path(given).expanduser().absolute() if given else _default()
        try:
            folder.mkdir(mode=0o700, parents=bool(given), exist_ok=True)
            if not given:
                _require_own(folder)
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(f"{folder} is not writable")
        except OSError as error:
            if given:
                raise ConfigurationError(
                    f"The folder {folder} of INFERWATCH_STATE_DIR cannot be used ({error}); name "
                    f"another, or {OFF}."
                ) from error
            log.warning(
                "inferwatch does not count the last events of a process that is killed",
                reason=f"{error}; name a folder in INFERWATCH_STATE_DIR, or {OFF}.",
            )
            folder = None
    return Spool(folder, service, environment, kafka)


def _default() -> Path:
    root = MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    return root / f"inferwatch-{os.geteuid()}"


def _require_own(folder: Path) -> None:
    """In a folder that is open to all, another user may have made it before.

    Raises:
        PermissionError: It is not this user's alone.
    """
    found = folder.lstat()
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not mine or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{folder} is not this user's alone")


def _may_be_in_the_making(path: Path) -> bool:
    """Whether its process may be about to lock it, for which there must be nobody else.

    Raises:
        OSError: It has gone.
    """
    hidden = path.name.startswith(".")
    return hidden and time.time() - path.stat().st_mtime <= MAX_AGE_SECONDS


def _told(file: Dead) -> Told | None:
    """None where it is no tally: torn, made by another version, or none of ours."""
    try:
        return parse(file.content)
    except ValueError:
        return None


def _last_change(file: Dead, told: Told | None) -> float:
    """Seconds since 1970; a mapping's writes do not change a file's own time."""
    return max(file.modified, told.seen / 1e6 if told else 0)
