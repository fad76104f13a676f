"""The host agent: two samplers, of the host and of its GPUs, whose samples go two ways.

    host, programs -> sampler -> snapshot -> Prometheus
    GPUs           -> sampler -> events   -> emit
    the driver     -> waiting thread -> events

Each sampler has a thread of its own: a call that hangs in a driver does not stop the other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.host import machine
from inferwatch_agents.host.event_log import EventLog
from inferwatch_agents.host.gpus import Gpus
from inferwatch_agents.host.machine import MachineSettings
from inferwatch_agents.host.processes import Processes
from inferwatch_agents.host.reports import Reports
from inferwatch_agents.host.sampler import Sampler
from inferwatch_agents.host.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.host.machine import Counters
    from inferwatch_agents.host.nvml import Nvml
    from inferwatch_agents.host.settings import AgentSettings

SCHEMA: Final = "resource"


class HostAgent:
    """Samples this host until it is stopped.

    Attributes:
        snapshots: The last samples.
        events: What happened to GPUs.
        reports: What cannot be measured.
    """

    def __init__(
        self,
        settings: AgentSettings,
        nvml: Nvml,
        emit: Callable[[str, dict[str, Any]], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; ``start`` starts it.

        Args:
            settings: What is sampled, and how often.
            nvml: NVIDIA's library.
            emit: Takes the name of a schema and a record without event header, at once.
            monotonic: Clock in seconds.
        """
        self.reports = Reports()
        self.snapshots = Snapshots(settings.interval_seconds, monotonic)
        self.events = EventLog(settings.host_name, emit)
        self._emit = emit
        self._host_name = settings.host_name
        self._machine = MachineSettings(settings.host_name, settings.disk_path)
        self._counters: Counters | None = None
        self._processes = Processes(settings.processes, self.reports)
        self._gpus = Gpus(
            nvml, self.events.tell, self.reports, self._processes.name_of, monotonic=monotonic
        )
        interval = settings.interval_seconds
        self._samplers = (
            Sampler("host", self.sample_host, interval, monotonic=monotonic),
            Sampler("gpu", self.sample_gpus, interval, monotonic=monotonic),
        )

    def start(self) -> None:
        """Start the samplers."""
        for sampler in self._samplers:
            sampler.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End them within so many seconds each, and let the driver go where no thread is in it."""
        stopped = [sampler.stop(timeout) for sampler in self._samplers]
        if all(stopped):
            self._gpus.close()

    def sample_host(self, now: float) -> None:
        """Sample the host and its programs once; for one thread."""
        sample = machine.sample(self._counters, now, self._machine, self.reports)
        self._counters = sample.counters
        programs = tuple(self._processes.sample(now))
        self.snapshots.keep_machine(sample, programs)
        self._emit(SCHEMA, sample.record)
        for program in programs:
            self._emit(SCHEMA, program.record(self._host_name))

    def sample_gpus(self, now: float) -> None:
        """Sample the GPUs once; for one thread."""
        samples = tuple(self._gpus.sample(now))
        self.snapshots.keep_gpus(samples)
        for sample in samples:
            for record in sample.records(self._host_name):
                self._emit(SCHEMA, record)
