"""Reads all that is sampled of one GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.host.gpu_programs import programs
from inferwatch_agents.host.gpu_quantities import FIELDS, MEMORY, QUESTIONS, Question
from inferwatch_agents.host.gpu_sample import GpuSample, Identity, MigInstance
from inferwatch_agents.host.nvml import Nvml, NvmlError
from inferwatch_agents.host.nvml_constants import Choice, Failure
from inferwatch_agents.host.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from inferwatch_agents.host.reports import Reports

FIELD_VALUES: Final = Question(
    "field values", (("nvmlDeviceGetFieldValues", [field for _, field, _ in FIELDS]),)
)
FIELD_QUESTIONS: Final = tuple(Question(what, (), (quantity,)) for what, _, quantity in FIELDS)
MIG_MODE: Final = Question("MIG mode", (("nvmlDeviceGetMigMode",),))
MIG_COUNT: Final = Question("MIG instances", (("nvmlDeviceGetMaxMigDeviceCount",),))
MIG_HANDLE: Final = "nvmlDeviceGetMigDeviceHandleByIndex"
UUID: Final = Question("UUID", (("nvmlDeviceGetUUID",),))
GPU_INSTANCE: Final = Question("GPU instance", (("nvmlDeviceGetGpuInstanceId",),))
COMPUTE_INSTANCE: Final = Question("compute instance", (("nvmlDeviceGetComputeInstanceId",),))


class GpuReader:
    """One GPU; for one thread at a time.

    Attributes:
        gpu: Which.
        probe: Asks it.
    """

    def __init__(self, nvml: Nvml, gpu: Identity, reports: Reports) -> None:
        self.gpu = gpu
        self.probe = Probe(nvml, gpu.handle, gpu.uuid, reports)
        # Bytes by NVLink and when, at the sample before.
        self._links: tuple[int, float] | None = None

    def sample(
        self, now: float, name_of: Callable[[int], str], watched: Mapping[str, Any]
    ) -> GpuSample:
        """Read all of it.

        Args:
            now: Seconds of a monotonic clock.
            name_of: Name of the program of a process id.
            watched: What was read already, because its changes are events.

        Raises:
            NvmlError: The GPU or the driver is gone; its code is one of ``probe.GONE``.
        """
        found: dict[str, Any] = dict(watched)
        for question in (MEMORY, *QUESTIONS):
            found |= self.probe.numbers(question)
        found |= self._fields()
        received, sent = found["nvlink_received"], found["nvlink_transmitted"]
        found["nvlink_rate"] = self._link_rate(now, received, sent)
        instances = list(self._instances())
        probes = [probe for probe, _ in instances] or [self.probe]
        return GpuSample(
            self.gpu,
            **found,
            processes=programs(probes, name_of),
            instances=tuple(instance for _, instance in instances),
        )

    def _fields(self) -> dict[str, Any]:
        found: dict[str, Any] = {quantity.name: None for _, _, quantity in FIELDS}
        answers = self.probe.ask(FIELD_VALUES)
        for question, answer in zip(FIELD_QUESTIONS, answers or (), strict=False):
            if code := answer["nvmlReturn"]:
                self.probe.failed(question.what, NvmlError(code, f"NVML's error {code}"))
            else:
                found |= self.probe.checked(question, answer["value"])
        return found

    def _link_rate(self, now: float, received: int | None, sent: int | None) -> float | None:
        before = self._links
        self._links = None if received is None or sent is None else (received + sent, now)
        if before is None or self._links is None or now <= before[1]:
            return None
        grown = self._links[0] - before[0]
        return None if grown < 0 else grown / (now - before[1])

    def _instances(self) -> Iterator[tuple[Probe, MigInstance]]:
        mode = self.probe.ask(MIG_MODE)
        if mode is None or mode[0] != Choice.NVML_DEVICE_MIG_ENABLE:
            return
        for number in range(self.probe.ask(MIG_COUNT) or 0):
            try:
                handle = self.probe.nvml(MIG_HANDLE, self.gpu.handle, number)
            except NvmlError as error:
                # There may be fewer than there could be.
                if error.code != Failure.NVML_ERROR_NOT_FOUND:
                    self.probe.failed(f"MIG instance {number}", error)
                continue
            place = f"{self.gpu.uuid}/mig:{number}"
            probe = Probe(self.probe.nvml, handle, place, self.probe.reports)
            uuid = probe.ask(UUID)
            if uuid is None:
                continue
            memory = probe.numbers(MEMORY)
            yield (
                probe,
                MigInstance(
                    uuid,
                    probe.ask(GPU_INSTANCE),
                    probe.ask(COMPUTE_INSTANCE),
                    memory["memory_used"],
                    memory["memory_total"],
                ),
            )
