"""What one sample of a GPU is: SI units, and null for what was not measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inferwatch_agents.host.nvml_constants import Reason

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which GPU it is.

    Attributes:
        handle: NVML's, until the driver is opened again.
        uuid: As NVML and CUDA have it.
        index: The driver's number, which may change when the machine starts again; None where it
            is not known.
        name: Of the model.
        pci_bus_id: As NVML writes it; None where it could not be told.
    """

    handle: str
    uuid: str
    index: int | None
    name: str = ""
    pci_bus_id: str | None = None


@dataclass(frozen=True, slots=True)
class MigInstance:
    """One MIG instance of a GPU: ids, and bytes of its memory."""

    uuid: str
    gpu_instance: int | None = None
    compute_instance: int | None = None
    memory_used: int | None = None
    memory_total: int | None = None


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One sample of one GPU.

    Attributes:
        gpu: Which.
        utilization: Share of time in which a kernel ran, 0 to 1.
        memory_utilization: Share of time in which its memory was read or written, 0 to 1.
        encoder: Used share of the video encoder, 0 to 1.
        decoder: Used share of the video decoder, 0 to 1.
        memory_used: Bytes that programs use.
        memory_free: Bytes free.
        memory_total: Bytes in all.
        power: Watts.
        energy: Joules since the driver was loaded.
        temperature: Of the core, in degrees Celsius.
        memory_temperature: Likewise.
        sm_clock: Hertz.
        memory_clock: Hertz.
        reasons: Why clocks are lower than they could be.
        ecc_corrected: Errors since the driver was loaded.
        ecc_uncorrected: Likewise.
        ecc_corrected_ever: Errors in the GPU's life.
        ecc_uncorrected_ever: Likewise.
        rows_remapped_corrected: Rows of memory replaced for corrected errors.
        rows_remapped_uncorrected: For uncorrected ones.
        row_remap_failed: Whether replacing has failed: 0 or 1.
        pcie_received: Bytes per second to the GPU.
        pcie_transmitted: Bytes per second from the GPU.
        pcie_replays: Retries since the driver was loaded.
        nvlink_received: Bytes in all by all links.
        nvlink_transmitted: Likewise.
        nvlink_rate: Bytes per second both ways, since the sample before.
        processes: Bytes of its memory by name of the program.
        instances: Its MIG instances.
    """

    gpu: Identity
    utilization: float | None = None
    memory_utilization: float | None = None
    encoder: float | None = None
    decoder: float | None = None
    memory_used: int | None = None
    memory_free: int | None = None
    memory_total: int | None = None
    power: float | None = None
    energy: float | None = None
    temperature: float | None = None
    memory_temperature: float | None = None
    sm_clock: float | None = None
    memory_clock: float | None = None
    reasons: Reason | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    ecc_corrected_ever: int | None = None
    ecc_uncorrected_ever: int | None = None
    rows_remapped_corrected: int | None = None
    rows_remapped_uncorrected: int | None = None
    row_remap_failed: int | None = None
    pcie_received: float | None = None
    pcie_transmitted: float | None = None
    pcie_replays: int | None = None
    nvlink_received: int | None = None
    nvlink_transmitted: int | None = None
    nvlink_rate: float | None = None
    processes: tuple[tuple[str, int], ...] = ()
    instances: tuple[MigInstance, ...] = ()

    def records(self, host_name: str) -> list[Record]:
        """``resource`` records: of the GPU, of each MIG instance, of each program's memory."""
        uuid = self.gpu.uuid
        throttled = None if self.reasons is None else float(bool(self.reasons.throttling))
        whole = {
            "host_name": host_name,
            "device": uuid,
            "gpu_utilization_ratio": self.utilization,
            "gpu_memory_used_bytes": self.memory_used,
            "gpu_memory_total_bytes": self.memory_total,
            "gpu_power_watts": self.power,
            "gpu_energy_joules": self.energy,
            "gpu_temperature_celsius": self.temperature,
            "gpu_sm_clock_hertz": self.sm_clock,
            "gpu_memory_clock_hertz": self.memory_clock,
            "gpu_throttled_ratio": throttled,
            "gpu_ecc_uncorrected_errors": self.ecc_uncorrected,
            "gpu_pcie_receive_bytes_per_second": self.pcie_received,
            "gpu_pcie_transmit_bytes_per_second": self.pcie_transmitted,
            "gpu_nvlink_bytes_per_second": self.nvlink_rate,
        }
        instances = [
            {
                "host_name": host_name,
                "device": instance.uuid,
                "gpu_memory_used_bytes": instance.memory_used,
                "gpu_memory_total_bytes": instance.memory_total,
            }
            for instance in self.instances
        ]
        programs = [
            {
                "host_name": host_name,
                "device": f"{uuid}/process:{name}",
                "gpu_memory_used_bytes": size,
            }
            for name, size in self.processes
        ]
        return [whole, *instances, *programs]
