"""All GPUs: what is missing, what is lost, and what comes back."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from replayed_nvml import ReplayedNvml
from structlog.testing import capture_logs

from inferwatch_agents.host.event_watch import EventWatch
from inferwatch_agents.host.gpus import LOOK_SECONDS, Gpus
from inferwatch_agents.host.nvml import NvmlError, PynvmlLibrary
from inferwatch_agents.host.nvml_constants import Failure
from inferwatch_agents.host.reports import Reports

A, B = "GPU-5a3f1c9e-0000-4000-8000-00000000000a", "GPU-5a3f1c9e-0000-4000-8000-00000000000b"
LOST = Failure.NVML_ERROR_GPU_IS_LOST
MEMORY = "nvmlDeviceGetMemoryInfo"


class Fleet:
    """The GPUs of a recording, sampled at times of the test's own."""

    def __init__(self, nvml: ReplayedNvml) -> None:
        """Nothing has been opened."""
        self.nvml = nvml
        self.events: list[dict[str, Any]] = []
        self.reports = Reports()
        self.gpus = Gpus(nvml, self.events.append, self.reports, str)

    def sampled(self, now: float) -> list[str]:
        """UUIDs that answered."""
        return [sample.gpu.uuid for sample in self.gpus.sample(now)]

    def told(self) -> list[tuple[str, str]]:
        """Device and kind of the events so far."""
        return [(event["device"], event["kind"]) for event in self.events]


@contextmanager
def fleet(nvml: ReplayedNvml | None = None) -> Iterator[Fleet]:
    """Two GPUs, let go in the end."""
    found = Fleet(nvml or ReplayedNvml.written("two_gpus"))
    try:
        yield found
    finally:
        found.gpus.close()


def test_gpus_are_known_by_their_uuid() -> None:
    """With index, model and place; the driver is opened once."""
    with fleet() as found:
        for now in (0.0, 10.0, 20.0):
            assert found.sampled(now) == [A, B]
        sample = found.gpus.sample(30.0)[1]
        assert (sample.gpu.index, sample.gpu.name) == (1, "NVIDIA GeForce RTX 4090")
        assert sample.gpu.pci_bus_id == "00000000:0A:00.0"
        assert found.gpus.driver.version == "560.35.03"
        assert found.nvml.calls["nvmlInit"] == 1
    assert found.nvml.calls["nvmlShutdown"] == 1


@pytest.mark.parametrize(
    ("code", "level"),
    [
        (Failure.NVML_ERROR_LIBRARY_NOT_FOUND, "info"),
        (Failure.NVML_ERROR_DRIVER_NOT_LOADED, "warning"),
        (Failure.NVML_ERROR_NO_PERMISSION, "warning"),
    ],
)
def test_a_driver_that_is_missing_is_told_once_and_taken_up_when_it_comes(
    code: Failure, level: str
) -> None:
    """Sampling goes on without it, and finds it."""
    with capture_logs() as logs, fleet() as found:
        found.nvml.failures["nvmlInit"] = code
        assert [found.sampled(now) for now in (0.0, 10.0, 20.0)] == [[], [], []]
        assert [(log["what"], log["log_level"]) for log in logs] == [("driver", level)]
        del found.nvml.failures["nvmlInit"]
        assert found.sampled(30.0) == [A, B]
        assert ("", "driver") not in found.reports.failing()
        assert found.events == []


@pytest.mark.parametrize(
    "code", [Failure.NVML_ERROR_UNINITIALIZED, Failure.NVML_ERROR_DRIVER_NOT_LOADED]
)
@pytest.mark.parametrize("function", [MEMORY, "nvmlDeviceGetCurrentClocksEventReasons"])
def test_a_driver_that_is_restarted_is_taken_up_again(code: Failure, function: str) -> None:
    """Its GPUs are opened anew, and are no lost ones."""
    with fleet() as found:
        assert found.sampled(0.0) == [A, B]
        found.nvml.failures[function] = code
        assert found.sampled(10.0) == []
        found.nvml.failures["nvmlInit"] = Failure.NVML_ERROR_DRIVER_NOT_LOADED
        assert found.sampled(20.0) == []
        found.nvml.failures.clear()
        assert found.sampled(30.0) == [A, B]
        assert found.events == []
        assert found.nvml.calls["nvmlShutdown"] == 1


def test_a_gpu_that_falls_off_the_bus_is_one_event_and_the_others_go_on() -> None:
    """It is looked for ever more seldom, and its return is an event too."""
    with fleet() as found:
        assert found.sampled(0.0) == [A, B]
        found.nvml.failures[MEMORY, "gpu:0"] = LOST
        assert [found.sampled(now) for now in (10.0, 20.0, 30.0)] == [[B], [B], [B]]
        assert found.told() == [(A, "fell_off_the_bus")]
        assert found.nvml.calls["nvmlInit"] == 1
        opened = []
        for now in range(40, 1000, 10):
            assert found.sampled(float(now)) == [B]
            opened.append(found.nvml.calls["nvmlInit"])
        assert 3 <= opened[-1] <= 6
        assert found.told() == [(A, "fell_off_the_bus")]
        found.nvml.failures.clear()
        assert found.sampled(10_000.0) == [A, B]
        assert found.told()[1:] == [(A, "other")]
        assert found.events[1]["severity"] == "info"
        assert not any(what == "GPU" for _, what in found.reports.failing())


def test_a_gpu_that_is_lost_at_the_start_has_no_uuid_and_is_told_all_the_same() -> None:
    """When it comes back it is known."""
    with fleet() as found:
        found.nvml.failures["nvmlDeviceGetUUID", "gpu:0"] = LOST
        assert found.sampled(0.0) == [B]
        assert [(e["device"], e["gpu_index"]) for e in found.events] == [("", 0)]
        found.nvml.failures.clear()
        assert found.sampled(LOOK_SECONDS) == [A, B]
        assert found.told() == [("", "fell_off_the_bus"), (A, "other")]


def test_a_gpu_that_is_not_ours_is_told_and_not_looked_for() -> None:
    """A container sees the GPUs that it was given."""
    with capture_logs() as logs, fleet() as found:
        found.nvml.failures["nvmlDeviceGetUUID", "gpu:0"] = Failure.NVML_ERROR_NO_PERMISSION
        for now in (0.0, 100.0, 10_000.0):
            assert found.sampled(now) == [B]
        assert found.events == []
        assert found.nvml.calls["nvmlInit"] == 1
    assert [log["device"] for log in logs if log["what"] == "GPU"] == ["GPU 0"]


def test_a_driver_that_goes_while_it_is_opened_is_opened_again() -> None:
    """It does not stay open without GPUs."""
    with fleet() as found:
        found.nvml.failures["nvmlDeviceGetHandleByIndex"] = Failure.NVML_ERROR_UNINITIALIZED
        assert found.sampled(0.0) == []
        found.nvml.failures.clear()
        assert found.sampled(10.0) == [A, B]


def test_a_driver_that_was_replaced_asks_for_a_restart() -> None:
    """The library that is loaded stays loaded; only a new process gets the new one."""
    with capture_logs() as logs, fleet() as found:
        found.nvml.failures["nvmlInit"] = Failure.NVML_ERROR_LIB_RM_VERSION_MISMATCH
        assert found.sampled(0.0) == []
    assert "restart the agent" in logs[0]["reason"]


def test_a_driver_that_holds_a_thread_is_not_closed_under_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is let go, and opened again, once the thread has come back."""
    with capture_logs() as logs, fleet() as found:
        found.sampled(0.0)
        with monkeypatch.context() as patch:
            patch.setattr(EventWatch, "stop", lambda _: False)
            found.nvml.failures[MEMORY] = Failure.NVML_ERROR_UNINITIALIZED
            assert [found.sampled(now) for now in (10.0, 20.0)] == [[], []]
            assert found.nvml.calls["nvmlShutdown"] == 0
        found.nvml.failures.clear()
        assert found.sampled(30.0) == [A, B]
        assert (found.nvml.calls["nvmlShutdown"], found.nvml.calls["nvmlInit"]) == (1, 2)
    told = [(log["event"], log["what"]) for log in logs if "driver" in log["what"]]
    assert told == [
        ("not measured", "driver"),
        ("not measured", "closing the driver"),
        ("measured again", "closing the driver"),
        ("measured again", "driver"),
    ]


def test_a_handle_that_is_closed_is_not_given_to_the_library() -> None:
    """C would take its name for a pointer."""
    with pytest.raises(NvmlError) as raised:
        PynvmlLibrary()("nvmlDeviceGetUUID", "gpu:0")
    assert raised.value.code == Failure.NVML_ERROR_UNINITIALIZED


def test_without_pynvml_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base install has no GPU library."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    reports = Reports()
    with capture_logs() as logs:
        assert Gpus(PynvmlLibrary(), lambda _: None, reports, str).sample(0.0) == []
    assert "pip install 'inferwatch[gpu]'" in logs[0]["reason"]
