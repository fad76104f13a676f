"""What of a GPU is an event when it changes: throttle reasons and ECC counters."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from inferwatch_agents.host import device_events
from inferwatch_agents.host.gpu_quantities import ECC_COUNTERS, REASONS
from inferwatch_agents.host.nvml_constants import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.host.gpu_sample import Identity
    from inferwatch_agents.host.probe import Probe


class GpuState:
    """The last known state of one GPU, over restarts of its driver too.

    Whoever looks reads and compares in one go, so that each change is told once and in order.
    What the first look finds is no change, and neither is a counter that went back.
    """

    def __init__(self, tell: Callable[[device_events.Record], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._reasons: Reason | None = None
        self._errors: dict[str, int] = {}

    def look(self, gpu: Identity, probe: Probe) -> dict[str, Any]:
        """Read it, and tell of changes.

        Returns:
            Attributes of ``GpuSample``: reasons, ecc_corrected, ecc_uncorrected.

        Raises:
            NvmlError: The GPU or the driver is gone.
        """
        with self._lock:
            bits = probe.numbers(REASONS)["reasons"]
            reasons = None if bits is None else Reason(bits)
            if reasons is not None:
                self._throttled(gpu, reasons)
            errors: dict[str, int | None] = {}
            for question in ECC_COUNTERS:
                errors |= probe.numbers(question)
            for name, count in errors.items():
                if count is not None:
                    self._counted(gpu, name, count)
        return {"reasons": reasons, **errors}

    def _throttled(self, gpu: Identity, reasons: Reason) -> None:
        before, self._reasons = self._reasons, reasons
        if before is not None and (event := device_events.throttle(gpu, before, reasons)):
            self._tell(event)

    def _counted(self, gpu: Identity, name: str, count: int) -> None:
        before = self._errors.get(name)
        self._errors[name] = count
        if before is not None and count > before:
            self._tell(device_events.ecc(gpu, name.removeprefix("ecc_"), before, count))
