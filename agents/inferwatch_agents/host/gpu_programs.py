"""Which programs use the memory of a GPU."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.host.gpu_quantities import MOST_BYTES, PROGRAMS
from inferwatch_agents.host.probe import IMPOSSIBLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from inferwatch_agents.host.probe import Probe

# Programs are told apart up to so many; the rest is one.
MOST_PROGRAMS: Final = 32
OTHER: Final = "_OTHER"
MEMORY: Final = "memory of processes"


def programs(probes: Sequence[Probe], name_of: Callable[[int], str]) -> tuple[tuple[str, int], ...]:
    """Bytes by name of the program, the largest first.

    Args:
        probes: The GPU, or its MIG instances: with MIG the GPU itself may not tell.
        name_of: Name of the program of a process id.

    Raises:
        NvmlError: The GPU or the driver is gone.
    """
    by_name: Counter[str] = Counter()
    for probe in probes:
        answers = [probe.ask(question) for question in PROGRAMS]
        sizes, blank = largest(process for answer in answers for process in answer or ())
        if blank:
            probe.reports.failed(probe.device, MEMORY, IMPOSSIBLE)
        else:
            probe.reports.well(probe.device, MEMORY)
        for pid, size in sizes.items():
            by_name[name_of(pid)] += size
    return bounded(by_name)


def largest(processes: Iterable[dict[str, Any]]) -> tuple[dict[int, int], bool]:
    """Bytes by process id, and whether one was not told.

    A program that computes and draws is in both lists, with all its memory in each.
    """
    sizes: dict[int, int] = {}
    blank = False
    for process in processes:
        pid, size = process["pid"], process["usedGpuMemory"]
        if size is None or size > MOST_BYTES:
            blank = True
        else:
            sizes[pid] = max(sizes.get(pid, 0), size)
    return sizes, blank


def bounded(by_name: Counter[str]) -> tuple[tuple[str, int], ...]:
    """The largest, and all others as one, so that there are never too many."""
    if len(by_name) <= MOST_PROGRAMS:
        return tuple(by_name.most_common())
    most = by_name.most_common(MOST_PROGRAMS - 1)
    return (*most, (OTHER, by_name.total() - sum(size for _, size in most)))
