"""Waits for the driver's events in a thread: XID errors, ECC errors, changes of clocks."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from inferwatch_agents.host import device_events
from inferwatch_agents.host.gpu_sample import Identity
from inferwatch_agents.host.nvml import Nvml, NvmlError
from inferwatch_agents.host.nvml_constants import Event, Failure
from inferwatch_agents.host.probe import DRIVER_GONE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inferwatch_agents.host.gpu_reader import GpuReader
    from inferwatch_agents.host.gpu_state import GpuState
    from inferwatch_agents.host.reports import Reports

# How soon the thread sees that it is to end.
WAIT_MS: Final = 1000
# How long until a set of events that failed is made anew, or a GPU is added that failed.
AGAIN_SECONDS: Final = 10.0
# Clocks may change many times a second; what a look then misses, the next one or a sample finds.
CLOCK_SECONDS: Final = 0.1
EVENTS: Final = "events"
# A GPU that the driver names by a handle of which nothing is known.
NOWHERE: Final = Identity("", "", None)

log = structlog.get_logger()


class EventWatch:
    """Watches the GPUs of one opening of the driver."""

    def __init__(
        self,
        nvml: Nvml,
        gpus: Sequence[tuple[GpuReader, GpuState]],
        tell: Callable[[device_events.Record], None],
        reports: Reports,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; ``start`` starts the thread.

        Args:
            nvml: The library.
            gpus: What is watched.
            tell: Takes records of ``device_events``.
            reports: Told of what cannot be watched.
            monotonic: Clock in seconds.
        """
        self._nvml = nvml
        self._gpus: Mapping[str, tuple[GpuReader, GpuState]] = {
            reader.gpu.handle: (reader, state) for reader, state in gpus
        }
        self._tell = tell
        self._reports = reports
        self._monotonic = monotonic
        self._clocks_at: dict[str, float] = {}
        # GPUs that have no events at all.
        self._without: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-events", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = WAIT_MS / 1000 + 2.0) -> bool:
        """End the thread; False where the driver does not let it go within so many seconds."""
        self._stop.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            began = self._monotonic()
            try:
                if not self._watch():
                    return
            except NvmlError as error:
                self._reports.failed("", EVENTS, str(error))
                if error.code in DRIVER_GONE:
                    # Whoever samples finds out, and opens it again.
                    return
            except Exception as error:
                # The thread outlives any defect: the next event may be the one that matters.
                log.exception("a defect of the agent")
                self._reports.failed("", EVENTS, f"{type(error).__name__}: {error}")
            # At once, unless it fails at every attempt: events are lost meanwhile.
            if self._monotonic() - began < AGAIN_SECONDS:
                self._stop.wait(AGAIN_SECONDS)

    def _watch(self) -> bool:
        """Watch until told to stop or an error; False where no GPU has events."""
        events = self._nvml("nvmlEventSetCreate")
        try:
            missing, again = list(self._gpus), -math.inf
            while not self._stop.is_set():
                if missing and self._monotonic() >= again:
                    missing = [handle for handle in missing if not self._register(handle, events)]
                    again = self._monotonic() + AGAIN_SECONDS
                if len(missing) < len(self._gpus):
                    self._reports.well("", EVENTS)
                    self._wait(events)
                elif self._without >= self._gpus.keys():
                    return False
                else:
                    self._stop.wait(AGAIN_SECONDS)
        finally:
            # What failed before is told; a set of a driver that is gone is gone with it.
            with contextlib.suppress(NvmlError):
                self._nvml("nvmlEventSetFree", events)
        return True

    def _register(self, handle: str, events: str) -> bool:
        device = self._gpus[handle][0].gpu.uuid
        try:
            wanted = self._nvml("nvmlDeviceGetSupportedEventTypes", handle) & sum(Event)
            if not wanted:
                raise NvmlError(Failure.NVML_ERROR_NOT_SUPPORTED, "It has none of them.")  # noqa: TRY301  # as if the driver had said so
            self._nvml("nvmlDeviceRegisterEvents", handle, wanted, events)
        except NvmlError as error:
            if error.code in DRIVER_GONE:
                raise
            usual = error.code == Failure.NVML_ERROR_NOT_SUPPORTED
            if usual:
                self._without.add(handle)
            self._reports.failed(device, EVENTS, str(error), usual=usual)
            return False
        self._reports.well(device, EVENTS)
        return True

    def _wait(self, events: str) -> None:
        try:
            data = self._nvml("nvmlEventSetWait_v2", events, WAIT_MS)
        except NvmlError as error:
            if error.code == Failure.NVML_ERROR_TIMEOUT:
                return
            raise
        self._happened(data)

    def _happened(self, data: Mapping[str, Any]) -> None:
        kind = Event(data["eventType"])
        reader, state = self._gpus.get(data["device"], (None, None))
        gpu = NOWHERE if reader is None else reader.gpu
        if Event.XID_CRITICAL_ERROR in kind:
            self._tell(device_events.xid(gpu, data["eventData"], data["gpuInstanceId"]))
            return
        if kind == Event.CLOCK and self._seen_just_now(gpu.handle):
            return
        seen = {} if reader is None or state is None else state.look(gpu, reader.probe)
        for ecc, name in (
            (Event.SINGLE_BIT_ECC_ERROR, "corrected"),
            (Event.DOUBLE_BIT_ECC_ERROR, "uncorrected"),
        ):
            # Where there is a counter, its growth is the event.
            if ecc in kind and seen.get(f"ecc_{name}") is None:
                self._tell(device_events.ecc_told(gpu, name))

    def _seen_just_now(self, handle: str) -> bool:
        now = self._monotonic()
        if now - self._clocks_at.get(handle, -math.inf) < CLOCK_SECONDS:
            return True
        self._clocks_at[handle] = now
        return False
