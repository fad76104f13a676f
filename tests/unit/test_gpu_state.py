"""Changes of throttle reasons and ECC counters: each is one event, in order."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from replayed_nvml import ReplayedNvml

from inferwatch_agents.host.device_events import names
from inferwatch_agents.host.gpu_sample import Identity
from inferwatch_agents.host.gpu_state import GpuState
from inferwatch_agents.host.nvml_constants import Failure, Reason
from inferwatch_agents.host.probe import Probe
from inferwatch_agents.host.reports import Reports
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder

GPU = Identity("gpu:0", "GPU-a", 0, "NVIDIA A100", "00000000:07:00.0")
HEADER = {
    "event_id": "e", "producer_id": "p", "sequence": 0, "event_time": 1, "host_name": "here",
}  # fmt: skip
REASONS = "nvmlDeviceGetCurrentClocksEventReasons"
ECC = "nvmlDeviceGetTotalEccErrors"


class Look:
    """A GPU whose reasons and errors a test sets."""

    def __init__(self) -> None:
        """Neither throttled nor broken."""
        self.events: list[dict[str, Any]] = []
        self.nvml = ReplayedNvml([])
        self.nvml.answers |= {REASONS: 0, ECC: 0}
        self._state = GpuState(self.events.append)

    def __call__(self, reasons: int | None = None, errors: int | None = None) -> None:
        """Set them, and have the state looked at."""
        for name, value in ((REASONS, reasons), (ECC, errors)):
            if value is not None:
                self.nvml.answers[name] = value
        self._state.look(GPU, Probe(self.nvml, GPU.handle, GPU.uuid, Reports()))


def test_a_change_of_reasons_is_one_event() -> None:
    """It names what was, what is, and the bits; protection of the hardware is a warning."""
    look = Look()
    look(Reason.SW_POWER_CAP)
    look(Reason.SW_POWER_CAP)
    look(Reason.SW_POWER_CAP | Reason.HW_SLOWDOWN | Reason.HW_THERMAL_SLOWDOWN)
    look(0)
    assert [
        (e["kind"], e["severity"], e["code"], e["state_before"], e["state_after"])
        for e in look.events
    ] == [
        ("throttle", "warning", 0x4C, "sw_power_cap",
         "sw_power_cap, hw_slowdown, hw_thermal_slowdown"),
        ("throttle", "info", 0, "sw_power_cap, hw_slowdown, hw_thermal_slowdown", "none"),
    ]  # fmt: skip
    assert look.events[0]["device"] == "GPU-a"
    assert look.events[0]["pci_bus_id"] == "00000000:07:00.0"


def test_the_second_identical_change_counts_too() -> None:
    """On, off, on, off: four events."""
    look = Look()
    for reasons in (0, 4, 0, 4, 0):
        look(reasons)
    assert [event["code"] for event in look.events] == [4, 0, 4, 0]


def test_idling_is_no_throttling() -> None:
    """A GPU that goes to sleep and wakes up has had no event."""
    look = Look()
    for reasons in (Reason.GPU_IDLE, 0, Reason.GPU_IDLE):
        look(reasons)
    assert look.events == []


def test_ecc_counters_that_grow_are_events() -> None:
    """What the first look finds is none; a counter that went back counts from there."""
    look = Look()
    for errors in (5, 5, 6, 9, 0, 1):
        look(errors=errors)
    corrected = [e for e in look.events if "uncorrected" not in e["text"]]
    assert [(e["state_before"], e["state_after"], e["severity"]) for e in corrected] == [
        ("5", "6", "warning"),
        ("6", "9", "warning"),
        ("0", "1", "warning"),
    ]
    uncorrected = [e for e in look.events if "uncorrected" in e["text"]]
    assert [e["severity"] for e in uncorrected] == ["critical"] * 3


def test_what_could_not_be_read_is_no_change() -> None:
    """After a gap the comparison is with what was known before it."""
    look = Look()
    look(4, 1)
    look.nvml.failures |= {REASONS: Failure.NVML_ERROR_NO_PERMISSION}
    look(0)
    del look.nvml.failures[REASONS]
    look(4)
    assert look.events == []
    look(0)
    assert len(look.events) == 1


@given(st.lists(st.integers(0, 2**12 - 1), min_size=1, max_size=30))
def test_events_tell_the_whole_story(readings: list[int]) -> None:
    """From the first reading and the events follows every later state, and each is encodable."""
    encoder, look = Encoder("device_event", PinnedRegistry()), Look()
    busy = [reading & ~int(Reason.GPU_IDLE) for reading in readings]
    for reading in readings:
        look(reading)
    changed = [after for before, after in pairwise(busy) if before != after]
    assert [event["code"] for event in look.events] == changed
    assert all(encoder.encode(event | HEADER) for event in look.events)
    chain = [names(Reason(busy[0])), *(event["state_after"] for event in look.events)]
    assert [event["state_before"] for event in look.events] == chain[:-1]
