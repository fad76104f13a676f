"""All GPUs of the host: samples them, and takes up again what comes back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from inferwatch_agents.host import device_events
from inferwatch_agents.host.driver import Driver, is_gone, is_lost
from inferwatch_agents.host.event_watch import EventWatch
from inferwatch_agents.host.gpu_reader import GpuReader
from inferwatch_agents.host.gpu_sample import GpuSample, Identity
from inferwatch_agents.host.gpu_state import GpuState
from inferwatch_agents.host.nvml import Nvml, NvmlError
from inferwatch_agents.host.nvml_constants import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.host.device_events import Record
    from inferwatch_agents.host.reports import Reports

# A lost GPU is looked for by opening the driver anew, during which no events are heard: hence ever
# more seldom.
LOOK_SECONDS: Final = 60.0
MOST_LOOK_SECONDS: Final = 3600.0
GPU: Final = "GPU"


class Gpus:
    """The GPUs; for one thread.

    Attributes:
        driver: Theirs.
    """

    def __init__(
        self,
        nvml: Nvml,
        tell: Callable[[Record], None],
        reports: Reports,
        name_of: Callable[[int], str],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; the first sample opens the driver.

        Args:
            nvml: The library.
            tell: Takes records of ``device_events``.
            reports: Told of what cannot be measured.
            name_of: Name of the program of a process id.
            monotonic: Clock in seconds.
        """
        self.driver = Driver(nvml, reports)
        self._nvml = nvml
        self._tell = tell
        self._reports = reports
        self._name_of = name_of
        self._monotonic = monotonic
        self._readers: list[GpuReader] = []
        self._states: dict[str, GpuState] = {}
        # The GPU that had a number when it was last known.
        self._known: dict[int, Identity] = {}
        self._lost: set[str] = set()
        self._look_at = 0.0
        self._patience = LOOK_SECONDS

    def sample(self, now: float) -> list[GpuSample]:
        """Sample each GPU that answers; none while there is no driver."""
        look = bool(self._lost) and now >= self._look_at
        if look:
            self._look_later(now)
        if (look or self.driver.closing) and not self.driver.close():
            return []
        if not self.driver.is_open and not self._opened(now):
            return []
        samples = []
        for reader in list(self._readers):
            try:
                samples.append(self._sampled(reader, now))
            except NvmlError as error:
                if is_gone(error):
                    self.driver.failed(error)
                    return []
                self._readers.remove(reader)
                self._lose(reader.gpu, error, now)
        return samples

    def close(self) -> None:
        """End the wait for events, and let the driver go."""
        self.driver.close()

    def _opened(self, now: float) -> bool:
        count = self.driver.open()
        if count is None:
            return False
        self._readers = []
        for index in range(count):
            try:
                gpu = self.driver.identity(index)
            except NvmlError as error:
                if is_gone(error):
                    self.driver.failed(error)
                    return False
                unseen = self._known.get(index) or Identity("", "", index)
                if error.code == Failure.NVML_ERROR_NO_PERMISSION:
                    self._reports.failed(_key(unseen), GPU, str(error))
                else:
                    self._lose(unseen, error, now)
                continue
            self._known[index] = gpu
            self._readers.append(GpuReader(self._nvml, gpu, self._reports))
        watched = [
            (reader, self._states.setdefault(reader.gpu.uuid, GpuState(self._tell)))
            for reader in self._readers
        ]
        self.driver.watch(
            EventWatch(self._nvml, watched, self._tell, self._reports, monotonic=self._monotonic)
        )
        return True

    def _sampled(self, reader: GpuReader, now: float) -> GpuSample:
        watched = self._states[reader.gpu.uuid].look(reader.gpu, reader.probe)
        sample = reader.sample(now, self._name_of, watched)
        for key in (reader.gpu.uuid, _key(Identity("", "", reader.gpu.index))):
            self._reports.well(key, GPU)
            if key in self._lost:
                self._lost.remove(key)
                self._tell(device_events.found(reader.gpu))
        if not self._lost:
            self._patience = LOOK_SECONDS
        return sample

    def _lose(self, gpu: Identity, error: NvmlError, now: float) -> None:
        key = _key(gpu)
        self._reports.failed(key, GPU, str(error))
        if key not in self._lost:
            if not self._lost:
                self._look_later(now)
            self._lost.add(key)
            self._tell(device_events.lost(gpu, str(error), off_the_bus=is_lost(error)))

    def _look_later(self, now: float) -> None:
        self._look_at = now + self._patience
        self._patience = min(self._patience * 2, MOST_LOOK_SECONDS)


def _key(gpu: Identity) -> str:
    """What it is called where its UUID is not known."""
    return gpu.uuid or f"GPU {gpu.index}"
