"""The thread that waits for the driver's events: each is counted, also the second of its kind."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from replayed_nvml import ReplayedNvml
from structlog.testing import capture_logs

from inferwatch_agents.host import event_watch
from inferwatch_agents.host.event_log import EventLog
from inferwatch_agents.host.event_watch import EventWatch
from inferwatch_agents.host.gpu_reader import GpuReader
from inferwatch_agents.host.gpu_sample import Identity
from inferwatch_agents.host.gpu_state import GpuState
from inferwatch_agents.host.nvml_constants import Event, Failure
from inferwatch_agents.host.reports import Reports

GPUS = (Identity("gpu:0", "GPU-a", 0), Identity("gpu:1", "GPU-b", 1))
XID = Event.XID_CRITICAL_ERROR
# NVML_ERROR_UNKNOWN.
UNKNOWN = 999
REASONS = "nvmlDeviceGetCurrentClocksEventReasons"


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds, for ten seconds at most."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Watching:
    """A watch of two GPUs."""

    def __init__(self, nvml: ReplayedNvml) -> None:
        """Prepare it."""
        self.events: list[dict[str, Any]] = []
        self.reports = Reports()
        self.log = EventLog("here", lambda _, record: self.events.append(record))
        readers = [GpuReader(nvml, gpu, self.reports) for gpu in GPUS]
        watched = [(reader, GpuState(self.log.tell)) for reader in readers]
        self.watch = EventWatch(nvml, watched, self.log.tell, self.reports)


@contextmanager
def watching(nvml: ReplayedNvml) -> Iterator[Watching]:
    """A watch that runs, and has ended afterwards."""
    found = Watching(nvml)
    found.watch.start()
    try:
        yield found
    finally:
        assert found.watch.stop()


def test_each_xid_error_is_an_event_also_the_second_identical_one() -> None:
    """Three of which two are alike are three events and three counts."""
    nvml = ReplayedNvml.written("two_gpus")
    for code in (79, 31, 31):
        nvml.happen(XID, code)
    nvml.happen(XID, 31, "gpu:1")
    with watching(nvml) as found:
        until(lambda: len(found.events) == 4)
    assert [(e["device"], e["code"], e["kind"], e["severity"]) for e in found.events] == [
        ("GPU-a", 79, "xid", "critical"),
        ("GPU-a", 31, "xid", "error"),
        ("GPU-a", 31, "xid", "error"),
        ("GPU-b", 31, "xid", "error"),
    ]
    assert found.log.xids() == {("GPU-a", 79): 1, ("GPU-a", 31): 2, ("GPU-b", 31): 1}
    assert found.log.kinds() == {("GPU-a", "xid"): 3, ("GPU-b", "xid"): 1}
    assert (found.log.last_xid("GPU-a"), found.log.last_xid("GPU-c")) == (31, 0)
    assert nvml.calls["nvmlEventSetFree"] == 1


def test_an_event_of_a_gpu_that_is_not_known_counts_too() -> None:
    """It has no device, as the schema says, and is not lost."""
    nvml = ReplayedNvml.written("two_gpus")
    nvml.happen(XID, 79, None)
    with watching(nvml) as found:
        until(lambda: bool(found.events))
    assert (found.events[0]["device"], found.events[0]["gpu_index"]) == ("", None)


def test_a_change_of_clocks_has_the_reasons_looked_at() -> None:
    """Throttling that begins between two samples is seen when the driver tells of clocks."""
    nvml = ReplayedNvml.written("two_gpus")
    nvml.answers[REASONS] = 0
    nvml.happen(Event.CLOCK)
    with watching(nvml) as found:
        until(lambda: nvml.calls["nvmlDeviceGetTotalEccErrors"] >= 2)
        nvml.answers[REASONS] = 8
        nvml.happen(Event.DOUBLE_BIT_ECC_ERROR)
        until(lambda: bool(found.events))
    assert [(e["kind"], e["state_after"]) for e in found.events] == [("throttle", "hw_slowdown")]


def test_many_changes_of_clocks_are_not_all_looked_at() -> None:
    """A GPU whose clocks never rest does not cost a look each time."""
    nvml = ReplayedNvml.written("two_gpus")
    for _ in range(200):
        nvml.happen(Event.CLOCK)
    nvml.happen(XID, 13)
    with watching(nvml) as found:
        until(lambda: bool(found.events))
    assert nvml.calls["nvmlEventSetWait_v2"] >= 200
    assert nvml.calls[REASONS] < 100


def test_ecc_errors_are_events_where_no_counter_grows() -> None:
    """With a counter its growth is the event; without one, what the driver tells."""
    nvml = ReplayedNvml.written("two_gpus")
    for device in ("gpu:0", "gpu:1"):
        nvml.happen(Event.DOUBLE_BIT_ECC_ERROR, device=device)
    nvml.happen(XID, 48, "gpu:0")
    with watching(nvml) as found:
        until(lambda: len(found.events) == 2)
    assert [(e["device"], e["kind"], e["severity"]) for e in found.events] == [
        ("GPU-b", "ecc", "critical"),
        ("GPU-a", "xid", "critical"),
    ]


def test_gpus_without_events_are_passed_over() -> None:
    """It is told as information, and the other GPU is watched."""
    nvml = ReplayedNvml.written("two_gpus")
    nvml.failures["nvmlDeviceGetSupportedEventTypes", "gpu:0"] = Failure.NVML_ERROR_NOT_SUPPORTED
    nvml.happen(XID, 31, "gpu:1")
    with capture_logs() as logs, watching(nvml) as found:
        until(lambda: bool(found.events))
    assert [(log["device"], log["log_level"]) for log in logs] == [("GPU-a", "info")]


def test_a_thread_with_nothing_to_watch_ends() -> None:
    """Where no GPU has events, nothing waits."""
    nvml = ReplayedNvml.written("two_gpus")
    nvml.failures["nvmlDeviceGetSupportedEventTypes"] = Failure.NVML_ERROR_NOT_SUPPORTED
    with watching(nvml):
        until(lambda: not any(t.name == "gpu-events" for t in threading.enumerate()))
    assert nvml.calls["nvmlEventSetWait_v2"] == 0


def test_a_gpu_that_cannot_be_watched_yet_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is one of two or all: only what has no events is given up."""
    monkeypatch.setattr(event_watch, "AGAIN_SECONDS", 0.05)
    nvml = ReplayedNvml.written("two_gpus")
    nvml.failures["nvmlDeviceRegisterEvents"] = UNKNOWN
    with watching(nvml) as found:
        until(lambda: nvml.calls["nvmlDeviceRegisterEvents"] > 4)
        assert nvml.calls["nvmlEventSetWait_v2"] == 0
        nvml.failures = {("nvmlDeviceRegisterEvents", "gpu:0"): UNKNOWN}
        until(lambda: nvml.calls["nvmlEventSetWait_v2"] > 1)
        until(lambda: found.reports.failing().keys() == {("GPU-a", "events")})
        nvml.failures = {}
        until(lambda: found.reports.failing() == {})
        assert nvml.calls["nvmlEventSetCreate"] == 1


def test_a_wait_that_fails_is_told_once_and_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is lost does not end the wait for the others' events."""
    monkeypatch.setattr(event_watch, "AGAIN_SECONDS", 0.01)
    nvml = ReplayedNvml.written("two_gpus")
    nvml.failures["nvmlEventSetWait_v2"] = Failure.NVML_ERROR_GPU_IS_LOST
    with capture_logs() as logs, watching(nvml) as found:
        until(lambda: nvml.calls["nvmlEventSetCreate"] > 3)
        nvml.failures["nvmlDeviceRegisterEvents", "gpu:0"] = Failure.NVML_ERROR_GPU_IS_LOST
        del nvml.failures["nvmlEventSetWait_v2"]
        nvml.happen(XID, 31, "gpu:1")
        until(lambda: bool(found.events))
        assert found.reports.failing().keys() == {("GPU-a", "events")}
    assert [log["device"] for log in logs if log["event"] == "not measured"].count("") >= 1
    assert nvml.calls["nvmlEventSetFree"] == nvml.calls["nvmlEventSetCreate"]


def test_the_thread_outlives_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that nobody thought of is told, and the next event heard."""
    monkeypatch.setattr(event_watch, "AGAIN_SECONDS", 0.01)
    nvml = ReplayedNvml.written("two_gpus")
    nvml._events.put({"eventType": "nonsense", "device": "gpu:0"})  # noqa: SLF001  # no driver can be made to say so
    nvml.happen(XID, 31)
    with capture_logs() as logs, watching(nvml) as found:
        until(lambda: bool(found.events))
    assert "error" in {log["log_level"] for log in logs}


def test_a_driver_that_is_gone_ends_the_thread() -> None:
    """Whoever samples opens it again, with another watch."""
    nvml = ReplayedNvml.written("two_gpus")
    nvml.failures["nvmlEventSetWait_v2"] = Failure.NVML_ERROR_UNINITIALIZED
    with watching(nvml) as found:
        until(lambda: not any(t.name == "gpu-events" for t in threading.enumerate()))
    assert found.reports.failing().keys() == {("", "events")}
