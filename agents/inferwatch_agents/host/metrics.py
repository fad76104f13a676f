"""The agent's Prometheus metrics: the one list of their names, labels and meanings.

``system_...`` are those of the guide that dashboards are built from, ``DCGM_...`` those of NVIDIA's
dcgm-exporter in its units, ``inferwatch_agent_...`` tell how the agent itself fares. A value that
was not measured is absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from inferwatch_agents.host.device_events import names
from inferwatch_agents.host.gpu_sample import GpuSample
from inferwatch_agents.host.machine import MachineSample
from inferwatch_agents.host.nvml_constants import Reason
from inferwatch_agents.host.processes import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
# Values of a metric's own labels, and the value; None where it was not measured.
Value = tuple[tuple[str, ...], float | None]

MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Metric(Generic[T]):
    """One metric.

    Attributes:
        name: As it is scraped.
        about: Its help.
        values: All it has to say of one sample.
        labels: Its own, besides those that all metrics of a sample have.
        counts: Whether it only grows.
    """

    name: str
    about: str
    values: Callable[[T], Iterable[Value]]
    labels: tuple[str, ...] = ()
    counts: bool = False


def one(read: Callable[[T], float | None]) -> Callable[[T], Iterable[Value]]:
    """The values of a metric that has one."""
    return lambda sample: [((), read(sample))]


def times(value: float | None, factor: float) -> float | None:
    """A value in another unit, without the noise that a factor adds."""
    return None if value is None else round(value * factor, 9)


def percent_of(part: float | None, whole: float | None) -> float | None:
    """A share in percent."""
    return None if part is None or not whole else 100 * part / whole


MACHINE: Final[tuple[Metric[MachineSample], ...]] = (
    Metric(
        "system_cpu_usage_percent",
        "Busy share of all cores since the sample before.",
        one(lambda s: times(s.record["cpu_utilization_ratio"], 100)),
    ),
    Metric(
        "system_load_average_1m",
        "Runnable tasks, averaged over a minute.",
        one(lambda s: s.record["load_average_1m"]),
    ),
    Metric(
        "system_memory_usage_percent",
        "Share of memory that programs cannot get without swapping.",
        one(lambda s: percent_of(s.record["memory_used_bytes"], s.record["memory_total_bytes"])),
    ),
    Metric(
        "system_memory_used_bytes",
        "Memory that programs cannot get without swapping.",
        one(lambda s: s.record["memory_used_bytes"]),
    ),
    Metric(
        "system_disk_usage_percent",
        "Used share of the disk.",
        one(lambda s: percent_of(s.record["disk_used_bytes"], s.record["disk_total_bytes"])),
    ),
    Metric(
        "system_disk_bytes_total",
        "Bytes that physical disks have read and written since boot.",
        lambda s: [(("read",), s.counters.disk_read), (("write",), s.counters.disk_written)],
        ("direction",),
        counts=True,
    ),
    Metric(
        "system_network_bytes_total",
        "Bytes through all network interfaces but loopback since boot.",
        lambda s: [(("receive",), s.counters.received), (("transmit",), s.counters.sent)],
        ("direction",),
        counts=True,
    ),
)

PROGRAM: Final[tuple[Metric[Program], ...]] = (
    Metric("system_processes", "Processes that run by this name.", one(lambda p: p.count)),
    Metric(
        "system_process_cpu_usage_percent",
        "Their share of all cores since the sample before.",
        one(lambda p: times(p.cpu, 100)),
    ),
    Metric("system_process_memory_bytes", "Their resident memory.", one(lambda p: p.memory)),
)
PROGRAM_LABELS: Final = ("process",)

GPU: Final[tuple[Metric[GpuSample], ...]] = (
    Metric(
        "system_gpu_info",
        "1 for each GPU that is sampled.",
        lambda g: [((str(g.gpu.index), g.gpu.name, g.gpu.pci_bus_id or ""), 1)],
        ("index", "name", "pci_bus_id"),
    ),
    Metric(
        "system_gpu_usage_percent",
        "Share of time in which a kernel ran.",
        one(lambda g: times(g.utilization, 100)),
    ),
    Metric(
        "system_gpu_memory_usage_percent",
        "Share of the GPU's memory in use.",
        one(lambda g: percent_of(g.memory_used, g.memory_total)),
    ),
    Metric("system_gpu_memory_used_bytes", "Memory in use.", one(lambda g: g.memory_used)),
    Metric("system_gpu_memory_total_bytes", "Memory in all.", one(lambda g: g.memory_total)),
    Metric("system_gpu_temperature_celsius", "Of the core.", one(lambda g: g.temperature)),
    Metric(
        "system_gpu_memory_temperature_celsius",
        "Of the memory.",
        one(lambda g: g.memory_temperature),
    ),
    Metric("system_gpu_power_watts", "Power draw.", one(lambda g: g.power)),
    Metric(
        "system_gpu_energy_joules_total",
        "Energy since the driver was loaded.",
        one(lambda g: g.energy),
        counts=True,
    ),
    Metric("system_gpu_sm_clock_hertz", "Of the multiprocessors.", one(lambda g: g.sm_clock)),
    Metric("system_gpu_memory_clock_hertz", "Of the memory.", one(lambda g: g.memory_clock)),
    Metric(
        "system_gpu_throttle_reason",
        "1 while clocks are lower for this reason.",
        lambda g: (
            []
            if g.reasons is None
            else [((names(reason),), float(reason in g.reasons)) for reason in Reason]
        ),
        ("reason",),
    ),
    Metric(
        "system_gpu_ecc_errors_total",
        "ECC errors since the driver was loaded.",
        lambda g: [(("corrected",), g.ecc_corrected), (("uncorrected",), g.ecc_uncorrected)],
        ("type",),
        counts=True,
    ),
    Metric(
        "system_gpu_pcie_bytes_per_second",
        "PCIe traffic, as seen from the GPU.",
        lambda g: [(("receive",), g.pcie_received), (("transmit",), g.pcie_transmitted)],
        ("direction",),
    ),
    Metric(
        "system_gpu_nvlink_bytes_total",
        "NVLink traffic, as seen from the GPU.",
        lambda g: [(("receive",), g.nvlink_received), (("transmit",), g.nvlink_transmitted)],
        ("direction",),
        counts=True,
    ),
    Metric(
        "system_gpu_process_memory_bytes",
        "Memory of the GPU by name of the program.",
        lambda g: [((name,), size) for name, size in g.processes],
        ("process",),
    ),
    Metric(
        "system_gpu_mig_memory_used_bytes",
        "Memory in use in a MIG instance.",
        lambda g: [((instance.uuid,), instance.memory_used) for instance in g.instances],
        ("mig",),
    ),
    Metric(
        "system_gpu_mig_memory_total_bytes",
        "Memory of a MIG instance.",
        lambda g: [((instance.uuid,), instance.memory_total) for instance in g.instances],
        ("mig",),
    ),
)
# The UUID, as the events have it in device.
GPU_LABELS: Final = ("gpu_id",)

# As in dcgm-exporter's etc/default-counters.csv and default labels. Its counters are not named as
# Prometheus wants counters to be, so that here they are gauges, which count all the same.
DCGM: Final[tuple[Metric[GpuSample], ...]] = (
    Metric("DCGM_FI_DEV_SM_CLOCK", "In MHz.", one(lambda g: times(g.sm_clock, 1e-6))),
    Metric("DCGM_FI_DEV_MEM_CLOCK", "In MHz.", one(lambda g: times(g.memory_clock, 1e-6))),
    Metric("DCGM_FI_DEV_MEMORY_TEMP", "In degrees Celsius.", one(lambda g: g.memory_temperature)),
    Metric("DCGM_FI_DEV_GPU_TEMP", "In degrees Celsius.", one(lambda g: g.temperature)),
    Metric("DCGM_FI_DEV_POWER_USAGE", "In watts.", one(lambda g: g.power)),
    Metric(
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        "In mJ since the driver was loaded.",
        one(lambda g: times(g.energy, 1000)),
    ),
    Metric("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "PCIe retries.", one(lambda g: g.pcie_replays)),
    Metric("DCGM_FI_DEV_GPU_UTIL", "In percent.", one(lambda g: times(g.utilization, 100))),
    Metric(
        "DCGM_FI_DEV_MEM_COPY_UTIL", "In percent.", one(lambda g: times(g.memory_utilization, 100))
    ),
    Metric("DCGM_FI_DEV_ENC_UTIL", "In percent.", one(lambda g: times(g.encoder, 100))),
    Metric("DCGM_FI_DEV_DEC_UTIL", "In percent.", one(lambda g: times(g.decoder, 100))),
    Metric("DCGM_FI_DEV_FB_FREE", "In MiB.", one(lambda g: times(g.memory_free, 1 / MIB))),
    Metric("DCGM_FI_DEV_FB_USED", "In MiB.", one(lambda g: times(g.memory_used, 1 / MIB))),
    Metric(
        "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", "Bits of NVML's reasons.", one(lambda g: g.reasons)
    ),
    Metric(
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",
        "Corrected ECC errors since the driver was loaded.",
        one(lambda g: g.ecc_corrected),
    ),
    Metric(
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        "Uncorrected ECC errors since the driver was loaded.",
        one(lambda g: g.ecc_uncorrected),
    ),
    Metric(
        "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL",
        "Corrected ECC errors in the GPU's life.",
        one(lambda g: g.ecc_corrected_ever),
    ),
    Metric(
        "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL",
        "Uncorrected ECC errors in the GPU's life.",
        one(lambda g: g.ecc_uncorrected_ever),
    ),
    Metric(
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
        "Rows of memory replaced for corrected errors.",
        one(lambda g: g.rows_remapped_corrected),
    ),
    Metric(
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        "Rows of memory replaced for uncorrected errors.",
        one(lambda g: g.rows_remapped_uncorrected),
    ),
    Metric(
        "DCGM_FI_DEV_ROW_REMAP_FAILURE",
        "Whether replacing a row has failed.",
        one(lambda g: g.row_remap_failed),
    ),
)
DCGM_LABELS: Final = ("gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname")
DCGM_XID: Final = ("DCGM_FI_DEV_XID_ERRORS", "The last XID error; 0 where there was none.")

XID_ERRORS: Final = ("system_gpu_xid_errors_total", "XID errors.", ("gpu_id", "xid"))
DEVICE_EVENTS: Final = (
    "system_gpu_events_total",
    "Events of GPUs: XID errors, changes of throttling, ECC errors, losses.",
    ("gpu_id", "kind"),
)
EVENTS_SENT: Final = (
    "inferwatch_agent_events_sent_total",
    "Events that Kafka acknowledged.",
    ("event",),
)
EVENTS_LOST: Final = (
    "inferwatch_agent_events_lost_total",
    "Events that did not reach Kafka.",
    ("event", "reason"),
)
NOT_MEASURED: Final = (
    "inferwatch_agent_not_measured",
    "1 for what cannot be measured now.",
    ("device", "what"),
)
SAMPLE_AGE: Final = (
    "inferwatch_agent_sample_age_seconds",
    "How long ago the last sample was complete; old ones are not shown.",
    ("sampler",),
)
