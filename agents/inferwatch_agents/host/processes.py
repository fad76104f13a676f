"""Samples processes by name: how many run, and what CPU and memory they take together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from inferwatch_agents.host.reports import Reports

DEVICE: Final = "processes"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Program:
    """The processes of one name.

    Attributes:
        name: As configured.
        count: How many run.
        memory: Resident bytes of all; memory that they share counts for each.
        cpu: Share of all cores since the sample before, 0 to 1; None in the first sample.
    """

    name: str
    count: int
    memory: int
    cpu: float | None

    def record(self, host_name: str) -> dict[str, Any]:
        """A ``resource`` record without event header."""
        return {
            "host_name": host_name,
            "device": f"process:{self.name}",
            "cpu_utilization_ratio": self.cpu,
            "memory_used_bytes": self.memory,
        }


def names_of(name: str, command: Iterable[str]) -> Iterator[str]:
    """What a process may be called by: its name, its program, its script, its module.

    A service in Python is ``python`` to the system; people know it by what follows.

    Args:
        name: As the system has it.
        command: Its command line.
    """
    yield name
    program, first, second, *_ = [*command, "", "", ""]
    for path in (program, first):
        if path and not path.startswith("-"):
            yield PurePath(path).name
    if first == "-m" and second:
        yield second


def readable(name: str) -> str:
    """The name without what is no text, which Avro would refuse."""
    return name.encode(errors="replace").decode()


class Processes:
    """Samples the processes of some names; for one thread, but for ``name_of``."""

    def __init__(self, names: Iterable[str], reports: Reports) -> None:
        self._names = tuple(names)
        self._reports = reports
        # CPU seconds by process at the sample before, and when that was.
        self._before: dict[tuple[int, float], float] = {}
        self._at: float | None = None
        # Configured name by process id.
        self._matched: dict[int, str] = {}

    def sample(self, now: float) -> list[Program]:
        """What runs by each name; a process counts for the first name that fits it.

        Args:
            now: Seconds of a monotonic clock.
        """
        if not self._names:
            return []
        found: dict[str, list[psutil.Process]] = {name: [] for name in self._names}
        matched = {}
        for process in psutil.process_iter():
            name = self._name(process)
            if name is not None:
                found[name].append(process)
                matched[process.pid] = name
        self._matched = matched
        seconds = None if self._at is None else now - self._at
        cores = (psutil.cpu_count() or 1) * (seconds or 0)
        current: dict[tuple[int, float], float] = {}
        programs = []
        for name, processes in found.items():
            count, memory, busy, refused = 0, 0, 0.0, False
            for process in processes:
                try:
                    with process.oneshot():
                        key = (process.pid, process.create_time())
                        times = process.cpu_times()
                        memory += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
                except psutil.Error as error:
                    self._reports.failed(DEVICE, name, str(error))
                    refused = True
                    continue
                count += 1
                current[key] = times.user + times.system
                # One that has just begun, or been given the name, counts from the next sample on.
                busy += max(0.0, current[key] - self._before.get(key, current[key]))
            if not refused:
                self._reports.well(DEVICE, name)
            cpu = min(1.0, busy / cores) if cores else None
            programs.append(Program(name, count, memory, cpu))
        self._before, self._at = current, now
        return programs

    def name_of(self, pid: int) -> str:
        """The configured name of a process, else the system's; for any thread."""
        if (name := self._matched.get(pid)) is not None:
            return name
        try:
            process = psutil.Process(pid)
            return self._name(process) or readable(process.name())
        except (psutil.Error, OSError, ValueError):
            # It has ended, or is in another container.
            return UNKNOWN

    def _name(self, process: psutil.Process) -> str | None:
        try:
            with process.oneshot():
                known = set(names_of(process.name(), process.cmdline()))
        except (psutil.Error, OSError):
            # It has ended, or is not ours to see: then its name was not either.
            return None
        return next((name for name in self._names if name in known), None)
