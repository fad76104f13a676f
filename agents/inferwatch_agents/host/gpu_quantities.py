"""What the agent asks NVML of a GPU: the calls, NVML's units, and what is no possible answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

from inferwatch_agents.host.nvml_constants import ALL_LINKS, BLANKS, MEMORY_V2, Choice, Field

# A function and its arguments after the handle.
Way = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of an answer.

    Attributes:
        name: Attribute of ``GpuSample``.
        most: Highest possible value, in NVML's unit.
        factor: From NVML's unit to that of the sample; 1 keeps whole numbers whole.
        least: Lowest possible value.
        part: Where it stands in the answer; None where it is the answer.
    """

    name: str
    most: float
    factor: float = 1
    least: float = 0
    part: str | int | None = None

    def of(self, answer: Any) -> float | None:
        """Its value, or None where the answer is blank or cannot be."""
        value = answer if self.part is None else answer[self.part]
        if value is None or value in BLANKS or not self.least <= value <= self.most:
            return None
        # Rounded: 57 percent are not 0.5700000000000001.
        return value if self.factor == 1 else round(value * self.factor, 9)  # type: ignore[no-any-return]  # a number: it was compared


@dataclass(frozen=True, slots=True)
class Question:
    """One call.

    Attributes:
        what: What it asks for, as reports name it.
        ways: Newest first; the next is tried where a driver does not have one.
        quantities: What its answer holds.
    """

    what: str
    ways: tuple[Way, ...]
    quantities: tuple[Quantity, ...] = field(default=())


PERCENT: Final = 0.01
KIB: Final = 1024
MHZ: Final = 1e6
MILLI: Final = 1e-3
# Wide enough for hardware to come, too narrow for nonsense.
MOST_BYTES: Final = 2**50
MOST_MILLIWATTS: Final = 1e8
MOST_MILLIJOULES: Final = 1e14
COLDEST, HOTTEST = -100.0, 250.0
MOST_MHZ: Final = 100_000
MOST_KILOBYTES_A_SECOND: Final = 1e9
MOST_COUNTED: Final = 2**53

ECC: Final = "nvmlDeviceGetTotalEccErrors"
CORRECTED: Final = Choice.NVML_MEMORY_ERROR_TYPE_CORRECTED
UNCORRECTED: Final = Choice.NVML_MEMORY_ERROR_TYPE_UNCORRECTED


def _ecc(name: str, kind: Choice, since: Choice) -> Question:
    return Question(
        name.replace("_", " ").replace("ecc", "ECC errors"),
        ((ECC, kind, since),),
        (Quantity(name, MOST_COUNTED),),
    )


def _memory(part: str) -> Quantity:
    return Quantity(f"memory_{part}", MOST_BYTES, part=part)


MEMORY: Final = Question(
    "memory",
    (("nvmlDeviceGetMemoryInfo", MEMORY_V2), ("nvmlDeviceGetMemoryInfo",)),
    (_memory("used"), _memory("free"), _memory("total")),
)

QUESTIONS: Final = (
    Question(
        "utilization",
        (("nvmlDeviceGetUtilizationRates",),),
        (
            Quantity("utilization", 100, PERCENT, part="gpu"),
            Quantity("memory_utilization", 100, PERCENT, part="memory"),
        ),
    ),
    Question(
        "encoder",
        (("nvmlDeviceGetEncoderUtilization",),),
        (Quantity("encoder", 100, PERCENT, part=0),),
    ),
    Question(
        "decoder",
        (("nvmlDeviceGetDecoderUtilization",),),
        (Quantity("decoder", 100, PERCENT, part=0),),
    ),
    Question(
        "power", (("nvmlDeviceGetPowerUsage",),), (Quantity("power", MOST_MILLIWATTS, MILLI),)
    ),
    Question(
        "energy",
        (("nvmlDeviceGetTotalEnergyConsumption",),),
        (Quantity("energy", MOST_MILLIJOULES, MILLI),),
    ),
    Question(
        "temperature",
        (
            ("nvmlDeviceGetTemperatureV", Choice.NVML_TEMPERATURE_GPU),
            ("nvmlDeviceGetTemperature", Choice.NVML_TEMPERATURE_GPU),
        ),
        (Quantity("temperature", HOTTEST, least=COLDEST),),
    ),
    Question(
        "SM clock",
        (("nvmlDeviceGetClockInfo", Choice.NVML_CLOCK_SM),),
        (Quantity("sm_clock", MOST_MHZ, MHZ),),
    ),
    Question(
        "memory clock",
        (("nvmlDeviceGetClockInfo", Choice.NVML_CLOCK_MEM),),
        (Quantity("memory_clock", MOST_MHZ, MHZ),),
    ),
    _ecc("ecc_corrected_ever", CORRECTED, Choice.NVML_AGGREGATE_ECC),
    _ecc("ecc_uncorrected_ever", UNCORRECTED, Choice.NVML_AGGREGATE_ECC),
    Question(
        "remapped rows",
        (("nvmlDeviceGetRemappedRows",),),
        (
            Quantity("rows_remapped_corrected", MOST_COUNTED, part=0),
            Quantity("rows_remapped_uncorrected", MOST_COUNTED, part=1),
            Quantity("row_remap_failed", 1, part=3),
        ),
    ),
    # Each of the two counts for 20 ms, in which NVML does not answer.
    Question(
        "PCIe traffic to the GPU",
        (("nvmlDeviceGetPcieThroughput", Choice.NVML_PCIE_UTIL_RX_BYTES),),
        (Quantity("pcie_received", MOST_KILOBYTES_A_SECOND, 1000),),
    ),
    Question(
        "PCIe traffic from the GPU",
        (("nvmlDeviceGetPcieThroughput", Choice.NVML_PCIE_UTIL_TX_BYTES),),
        (Quantity("pcie_transmitted", MOST_KILOBYTES_A_SECOND, 1000),),
    ),
    Question(
        "PCIe replays",
        (("nvmlDeviceGetPcieReplayCounter",),),
        (Quantity("pcie_replays", MOST_COUNTED),),
    ),
)

# Asked for together; each has an answer, and may fail, of its own.
FIELDS: Final = (
    (
        "memory temperature",
        (Field.NVML_FI_DEV_MEMORY_TEMP, 0),
        # A GPU without a sensor may answer 0.
        Quantity("memory_temperature", HOTTEST, least=1),
    ),
    (
        "NVLink traffic to the GPU",
        (Field.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, ALL_LINKS),
        Quantity("nvlink_received", math.inf, KIB),
    ),
    (
        "NVLink traffic from the GPU",
        (Field.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, ALL_LINKS),
        Quantity("nvlink_transmitted", math.inf, KIB),
    ),
)

# Asked for under a lock, because what changes in them is an event.
ECC_COUNTERS: Final = (
    _ecc("ecc_corrected", CORRECTED, Choice.NVML_VOLATILE_ECC),
    _ecc("ecc_uncorrected", UNCORRECTED, Choice.NVML_VOLATILE_ECC),
)
REASONS: Final = Question(
    "throttle reasons",
    (
        ("nvmlDeviceGetCurrentClocksEventReasons",),
        ("nvmlDeviceGetCurrentClocksThrottleReasons",),
    ),
    (Quantity("reasons", MOST_COUNTED),),
)
PROGRAMS: Final = (
    Question(
        "compute processes",
        (
            ("nvmlDeviceGetComputeRunningProcesses_v3",),
            ("nvmlDeviceGetComputeRunningProcesses_v2",),
        ),
    ),
    Question(
        "graphics processes",
        (
            ("nvmlDeviceGetGraphicsRunningProcesses_v3",),
            ("nvmlDeviceGetGraphicsRunningProcesses_v2",),
        ),
    ),
)
