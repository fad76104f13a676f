"""Opens NVIDIA's driver, finds its GPUs, and lets it go again."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from inferwatch_agents.host.gpu_sample import Identity
from inferwatch_agents.host.nvml import Nvml, NvmlError
from inferwatch_agents.host.nvml_constants import Failure
from inferwatch_agents.host.probe import DRIVER_GONE

if TYPE_CHECKING:
    from inferwatch_agents.host.event_watch import EventWatch
    from inferwatch_agents.host.reports import Reports

DRIVER: Final = "driver"
CLOSING: Final = "closing the driver"
EVENTS_HELD: Final = "The driver does not answer the wait for events."


class Driver:
    """The driver, open or not; for one thread.

    Attributes:
        is_open: Whether it is.
        closing: Whether it is to be closed, and a thread is still in it.
        version: NVIDIA's number of it; empty before it was opened.
    """

    def __init__(self, nvml: Nvml, reports: Reports) -> None:
        self.is_open = False
        self.closing = False
        self.version = ""
        self._nvml = nvml
        self._reports = reports
        self._watch: EventWatch | None = None

    def open(self) -> int | None:
        """Open it.

        Returns:
            How many GPUs it has; None where it cannot be opened, which is reported.
        """
        try:
            self._nvml("nvmlInit")
            self.is_open = True
            self.version = self._nvml("nvmlSystemGetDriverVersion")
            count: int = self._nvml("nvmlDeviceGetCount")
        except NvmlError as error:
            self.failed(error)
            return None
        self._reports.well("", DRIVER)
        return count

    def identity(self, index: int) -> Identity:
        """Which GPU has this number.

        Raises:
            NvmlError: It cannot be told; the GPU may be lost, or not be ours to see.
        """
        handle = self._nvml("nvmlDeviceGetHandleByIndex", index)
        uuid = self._nvml("nvmlDeviceGetUUID", handle)
        try:
            name = self._nvml("nvmlDeviceGetName", handle)
            place = self._nvml("nvmlDeviceGetPciInfo", handle)["busId"]
        except NvmlError as error:
            self._reports.failed(uuid, "name and place", str(error))
            return Identity(handle, uuid, index)
        return Identity(handle, uuid, index, name, place)

    def watch(self, watch: EventWatch) -> None:
        """Start a wait for events, which ends when the driver is closed."""
        self._watch = watch
        watch.start()

    def failed(self, error: NvmlError) -> None:
        """Report that it is gone, and close what is left of it."""
        # A host without GPUs has no library: no reason to warn.
        usual = error.code == Failure.NVML_ERROR_LIBRARY_NOT_FOUND
        stale = error.code == Failure.NVML_ERROR_LIB_RM_VERSION_MISMATCH
        hint = " The driver was replaced: restart the agent." if stale else ""
        self._reports.failed("", DRIVER, f"{error}{hint}", usual=usual)
        self.close()

    def close(self) -> bool:
        """Let it go; False where a thread is in it and does not come back."""
        self.closing = self._watch is not None and not self._watch.stop()
        if self.closing:
            self._reports.failed("", CLOSING, EVENTS_HELD)
            return False
        self._reports.well("", CLOSING)
        self._watch = None
        if self.is_open:
            self.is_open = False
            with contextlib.suppress(NvmlError):
                # Of a driver that is gone, nothing has to be let go.
                self._nvml("nvmlShutdown")
        return True


def is_lost(error: NvmlError) -> bool:
    """Whether it says that one GPU has fallen off the bus."""
    return error.code == Failure.NVML_ERROR_GPU_IS_LOST


def is_gone(error: NvmlError) -> bool:
    """Whether it says that the driver is."""
    return error.code in DRIVER_GONE
