"""The last samples, for whoever scrapes; what is old is not shown as if it were new."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.host.gpu_sample import GpuSample
    from inferwatch_agents.host.machine import MachineSample
    from inferwatch_agents.host.processes import Program

# A sampler that hangs in a driver leaves its last sample behind.
OLD_INTERVALS: Final = 3


@dataclass(frozen=True, slots=True)
class _Kept:
    at: float
    machine: MachineSample | None = None
    programs: tuple[Program, ...] = ()
    gpus: tuple[GpuSample, ...] = ()


class Snapshots:
    """Written by the samplers, read by the metrics' server."""

    def __init__(
        self, interval_seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._most_age = OLD_INTERVALS * interval_seconds
        self._monotonic = monotonic
        # Each has one writer, and is replaced whole.
        self._machine: _Kept | None = None
        self._gpus: _Kept | None = None

    def keep_machine(self, machine: MachineSample, programs: tuple[Program, ...]) -> None:
        """A sample of the host and of the programs on it."""
        self._machine = _Kept(self._monotonic(), machine, programs)

    def keep_gpus(self, gpus: tuple[GpuSample, ...]) -> None:
        """A sample of all GPUs."""
        self._gpus = _Kept(self._monotonic(), gpus=gpus)

    def machine(self) -> tuple[MachineSample | None, tuple[Program, ...]]:
        """The last of the host, where it is not old."""
        kept = self._fresh(self._machine)
        return (None, ()) if kept is None else (kept.machine, kept.programs)

    def gpus(self) -> tuple[GpuSample, ...]:
        """The last of the GPUs, where it is not old."""
        kept = self._fresh(self._gpus)
        return () if kept is None else kept.gpus

    def ages(self) -> dict[str, float]:
        """Seconds since the last sample, by sampler."""
        now = self._monotonic()
        kept = {"host": self._machine, "gpus": self._gpus}
        return {name: now - each.at for name, each in kept.items() if each is not None}

    def _fresh(self, kept: _Kept | None) -> _Kept | None:
        return kept if kept is not None and self._monotonic() - kept.at <= self._most_age else None
