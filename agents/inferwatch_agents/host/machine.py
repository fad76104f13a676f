"""Samples this machine: CPU, load, memory, disk and network, as a ``resource`` record."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.host.reports import Reports

Record = dict[str, Any]
T = TypeVar("T")

DEVICE: Final = "host"
LOOPBACKS: Final = ("lo", "lo0")
# What a probe raises where the system does not have, or does not show, what it asks for.
UNMEASURABLE: Final = (psutil.Error, OSError, AttributeError, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since boot, from which the next sample makes rates.

    Attributes:
        at: When they were read, in seconds of a monotonic clock.
        cpu_busy: CPU seconds spent busy, all cores together.
        cpu_total: CPU seconds passed, all cores together.
        disk_read: Bytes read from physical disks.
        disk_written: Bytes written to them.
        received: Bytes received by all interfaces but loopback.
        sent: Bytes sent by them.
    """

    at: float
    cpu_busy: float | None
    cpu_total: float | None
    disk_read: int | None
    disk_written: int | None
    received: int | None
    sent: int | None


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """What is sampled.

    Attributes:
        host_name: OpenTelemetry host.name.
        disk_path: Where disk space is measured.
    """

    host_name: str = field(default_factory=socket.gethostname)
    disk_path: str = "/"


@dataclass(frozen=True, slots=True)
class MachineSample:
    """One sample.

    Attributes:
        record: A ``resource`` record without event header.
        counters: Totals, for the metrics and the next sample.
    """

    record: Record
    counters: Counters


def sample(
    previous: Counters | None, now: float, settings: MachineSettings, reports: Reports
) -> MachineSample:
    """Read every probe once.

    A metric that cannot be read is null, and reported. Rates and CPU use are null in the first
    sample, and where a counter was reset.

    Args:
        previous: The counters of the sample before; None at first.
        now: Seconds of a monotonic clock.
        settings: Host name and disk.
        reports: Told of what cannot be measured.
    """

    def probe(name: str, read: Callable[[], T]) -> T | None:
        try:
            answer = read()
        except UNMEASURABLE as error:
            reports.failed(DEVICE, name, str(error))
            return None
        reports.well(DEVICE, name)
        return answer

    cpu = probe("cpu", _cpu)
    load = probe("load", psutil.getloadavg)
    memory = probe("memory", psutil.virtual_memory)
    space = probe("disk space", lambda: psutil.disk_usage(settings.disk_path))
    disks = probe("disk traffic", lambda: psutil.disk_io_counters(nowrap=False))
    network = probe("network", _network)
    counters = Counters(
        at=now,
        cpu_busy=cpu[0] if cpu else None,
        cpu_total=cpu[1] if cpu else None,
        disk_read=disks.read_bytes if disks else None,
        disk_written=disks.write_bytes if disks else None,
        received=network[0] if network else None,
        sent=network[1] if network else None,
    )
    record = {
        "host_name": settings.host_name,
        "device": DEVICE,
        "load_average_1m": load[0] if load else None,
        # What programs cannot get without swapping, as the kernel estimates it.
        "memory_used_bytes": memory.total - memory.available if memory else None,
        "memory_total_bytes": memory.total if memory else None,
        "disk_used_bytes": space.used if space else None,
        "disk_total_bytes": space.total if space else None,
        **rates(previous, counters),
    }
    return MachineSample(record, counters)


def rates(previous: Counters | None, current: Counters) -> Record:
    """CPU use and bytes per second between two readings; null where they do not tell."""
    names = {
        "disk_read_bytes_per_second": "disk_read",
        "disk_write_bytes_per_second": "disk_written",
        "network_receive_bytes_per_second": "received",
        "network_transmit_bytes_per_second": "sent",
    }
    if previous is None:
        return dict.fromkeys(("cpu_utilization_ratio", *names))

    def growth(name: str) -> float | None:
        before, after = getattr(previous, name), getattr(current, name)
        return None if before is None or after is None or after < before else after - before

    def ratio(part: float | None, whole: float | None) -> float | None:
        return None if part is None or not whole else part / whole

    seconds = growth("at")
    busy = ratio(growth("cpu_busy"), growth("cpu_total"))
    return {
        # The kernel's two counters are read one after the other and may differ by a tick.
        "cpu_utilization_ratio": None if busy is None else min(busy, 1.0),
        **{metric: ratio(growth(name), seconds) for metric, name in names.items()},
    }


def _cpu() -> tuple[float, float]:
    times = psutil.cpu_times()
    # Linux counts a guest's time in user and nice already (proc(5)).
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - times.idle - getattr(times, "iowait", 0.0), total


def _network() -> tuple[int, int]:
    interfaces = psutil.net_io_counters(pernic=True, nowrap=False)
    counted = [traffic for name, traffic in interfaces.items() if name not in LOOPBACKS]
    return sum(t.bytes_recv for t in counted), sum(t.bytes_sent for t in counted)
