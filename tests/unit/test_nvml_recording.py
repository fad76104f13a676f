"""Recordings of what NVML answered: they replay to the same samples, and may hide UUIDs."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from replayed_nvml import WRITTEN, ReplayedNvml
from structlog.testing import capture_logs

from inferwatch_agents.host.gpu_sample import GpuSample
from inferwatch_agents.host.gpus import Gpus
from inferwatch_agents.host.nvml import Nvml, NvmlError
from inferwatch_agents.host.nvml_constants import Failure
from inferwatch_agents.host.nvml_recording import NvmlRecorder
from inferwatch_agents.host.reports import Reports

NAMES = sorted(file.stem for file in WRITTEN.glob("*.jsonl"))


def samples(nvml: Nvml) -> list[list[GpuSample]]:
    """Three samples of all GPUs, two seconds apart."""
    gpus = Gpus(nvml, lambda _: None, Reports(), str)
    try:
        return [gpus.sample(2.0 * number) for number in range(3)]
    finally:
        gpus.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_replays_to_the_same_samples(name: str) -> None:
    """What passed through the recorder comes out of the recording, errors included."""
    file = io.StringIO()
    expected = samples(NvmlRecorder(ReplayedNvml.written(name), file))
    assert expected[2]
    assert samples(ReplayedNvml(file.getvalue().splitlines())) == expected


def test_uuids_can_be_hidden_and_stay_apart() -> None:
    """Each has one number wherever it stands; the caller sees the true ones."""
    file = io.StringIO()
    nvml = ReplayedNvml.written("mig")
    found = samples(NvmlRecorder(nvml, file, pseudonyms=True))
    assert "5a3f1c9e" in found[0][0].gpu.uuid
    assert "5a3f1c9e" not in file.getvalue()
    assert "7c1e2d3f" not in file.getvalue()
    (again,) = samples(ReplayedNvml(file.getvalue().splitlines()))[0]
    uuids = [again.gpu.uuid, *(instance.uuid for instance in again.instances)]
    assert uuids == [
        "GPU-00000000-0000-0000-0000-000000000001",
        "MIG-00000000-0000-0000-0000-000000000002",
        "MIG-00000000-0000-0000-0000-000000000003",
    ]


def test_waits_without_an_event_are_left_out() -> None:
    """There is one every second; an event and any other error are kept."""
    nvml, file = ReplayedNvml([]), io.StringIO()
    recorder = NvmlRecorder(nvml, file)

    def wait() -> None:
        with pytest.raises(NvmlError):
            recorder("nvmlEventSetWait_v2", "events:0", 1000)

    wait()
    nvml.failures["nvmlEventSetWait_v2"] = Failure.NVML_ERROR_GPU_IS_LOST
    wait()
    nvml.failures.clear()
    nvml.happen(8, 79)
    recorder("nvmlEventSetWait_v2", "events:0", 1000)
    lines = [json.loads(line) for line in file.getvalue().splitlines()][1:]
    assert [(line.get("error"), line.get("result", {}).get("eventData")) for line in lines] == [
        (15, None),
        (None, 79),
    ]


class FullDisk(io.StringIO):
    """A file that takes its first line only."""

    def write(self, text: str) -> int:
        """As on a disk that is full."""
        if self.tell():
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_a_full_disk_ends_the_recording_and_not_the_sampling() -> None:
    """It is told once."""
    file = FullDisk()
    with capture_logs() as logs:
        assert samples(NvmlRecorder(ReplayedNvml.written("two_gpus"), file))[2]
    ended = [log for log in logs if log["event"] == "the recording ends"]
    assert len(ended) == 1
    assert "No space left" in ended[0]["reason"]


@pytest.mark.parametrize("file", sorted(WRITTEN.glob("*.jsonl")), ids=lambda file: file.stem)
def test_what_was_written_by_hand_says_so(file: Path) -> None:
    """None of these files can be taken for a recording."""
    first: dict[str, Any] = json.loads(file.read_text(encoding="utf-8").partition("\n")[0])
    assert "written_by_hand" in first
    assert "recorded" not in first
