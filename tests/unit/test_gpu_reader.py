"""Reading one GPU: units, what is null, what is reported, MIG, programs."""

from collections import Counter
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replayed_nvml import ReplayedNvml
from structlog.testing import capture_logs

from inferwatch_agents.host.gpu_programs import MOST_PROGRAMS, OTHER, bounded
from inferwatch_agents.host.gpu_quantities import (
    ECC_COUNTERS,
    FIELDS,
    MEMORY,
    QUESTIONS,
    REASONS,
    Quantity,
)
from inferwatch_agents.host.gpu_reader import GpuReader
from inferwatch_agents.host.gpu_sample import GpuSample, Identity, MigInstance
from inferwatch_agents.host.gpu_state import GpuState
from inferwatch_agents.host.nvml import NvmlError
from inferwatch_agents.host.nvml_constants import Failure, Reason
from inferwatch_agents.host.reports import Reports
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder

HEADER = {"event_id": "e", "producer_id": "p", "sequence": 0, "event_time": 1}
GIB = 2**30
A100 = Identity("gpu:0", "GPU-a", 0, "NVIDIA A100", "00000000:07:00.0")
RTX = Identity("gpu:1", "GPU-b", 1, "NVIDIA GeForce", "00000000:0A:00.0")
NAMES = {4000001: "vllm", 4000002: "trainer"}


def read(
    nvml: ReplayedNvml, gpu: Identity = A100, times: int = 1, reports: Reports | None = None
) -> GpuSample:
    """Sample so many times, two seconds apart; the last one."""
    reader = GpuReader(nvml, gpu, reports or Reports())
    state = GpuState(lambda _: None)
    for number in range(times):
        watched = state.look(gpu, reader.probe)
        sample = reader.sample(2.0 * number, NAMES.__getitem__, watched)
    return sample


def test_a_sample_is_in_si_units() -> None:
    """Milliwatts, megahertz, kilobytes and percent become what the schema says."""
    assert read(ReplayedNvml.written("two_gpus"), times=2) == GpuSample(
        A100,
        utilization=pytest.approx(0.57),
        memory_utilization=pytest.approx(0.31),
        encoder=0.0,
        decoder=pytest.approx(0.12),
        memory_used=60 * GIB,
        memory_free=20 * GIB - 600 * 2**20,
        memory_total=80 * GIB,
        power=312.5,
        energy=pytest.approx(7_200_000.123),
        temperature=64,
        memory_temperature=58,
        sm_clock=1.41e9,
        memory_clock=1.593e9,
        reasons=Reason.SW_POWER_CAP,
        ecc_corrected=0,
        ecc_uncorrected=0,
        ecc_corrected_ever=7,
        ecc_uncorrected_ever=1,
        rows_remapped_corrected=1,
        rows_remapped_uncorrected=0,
        row_remap_failed=0,
        pcie_received=1.5e9,
        pcie_transmitted=2.5e8,
        pcie_replays=3,
        nvlink_received=3000 * 1024,
        nvlink_transmitted=5000 * 1024,
        nvlink_rate=5000 * 1024 / 2.0,
        processes=(("vllm", 40 * GIB), ("trainer", 20 * GIB)),
        instances=(),
    )


def test_every_quantity_is_an_attribute_of_the_sample() -> None:
    """No answer is read that nobody keeps, and none is kept twice."""
    questions = (MEMORY, *QUESTIONS, *ECC_COUNTERS, REASONS)
    names = [q.name for question in questions for q in question.quantities]
    names += [quantity.name for _, _, quantity in FIELDS]
    assert len(names) == len(set(names))
    others = {"gpu", "nvlink_rate", "processes", "instances"}
    assert set(names) | others == set(asdict(GpuSample(A100)))


@pytest.mark.parametrize("name", ["two_gpus", "blank_values", "mig"])
def test_records_fit_the_schema(name: str) -> None:
    """Whatever a driver says, what is sent can be encoded."""
    encoder = Encoder("resource", PinnedRegistry())
    records = read(ReplayedNvml.written(name), times=2).records("here")
    assert all(encoder.encode(record | HEADER) for record in records)
    assert {record["host_name"] for record in records} == {"here"}
    assert len({record["device"] for record in records}) == len(records)


def test_blank_and_impossible_values_are_null_and_told_once() -> None:
    """Sentinels, 101 percent, more used than there is, 2^31 degrees: null, one warning each."""
    reports = Reports()
    with capture_logs() as logs:
        sample = read(ReplayedNvml.written("blank_values"), times=3, reports=reports)
    assert sample == GpuSample(A100, memory_total=8 * GIB)
    told = Counter((log["what"], log["log_level"]) for log in logs)
    assert set(told.values()) == {1}
    assert {level for _, level in told} == {"warning"}
    whats = {what for what, _ in told}
    assert whats >= {"power", "temperature", "memory", "memory of processes", "throttle reasons"}


def test_what_a_gpu_does_not_have_is_null_and_no_warning() -> None:
    """A card without ECC, NVLink and MIG is sampled in all the rest."""
    with capture_logs() as logs:
        sample = read(ReplayedNvml.written("two_gpus"), RTX, times=2)
    assert (sample.power, sample.memory_used) == (21.0, 512 * 2**20)
    assert sample.ecc_uncorrected is sample.nvlink_rate is sample.memory_temperature is None
    assert sample.records("here")[0]["gpu_throttled_ratio"] == 0.0
    assert {log["log_level"] for log in logs} == {"info"}
    assert max(Counter(log["what"] for log in logs).values()) == 1


def test_a_permission_refused_is_told_once_and_its_return_too() -> None:
    """The value is null meanwhile, and all others are read."""
    nvml, reports = ReplayedNvml.written("two_gpus"), Reports()
    nvml.failures["nvmlDeviceGetPowerUsage"] = Failure.NVML_ERROR_NO_PERMISSION
    with capture_logs() as logs:
        sample = read(nvml, times=3, reports=reports)
        assert (sample.power, sample.temperature) == (None, 64)
        del nvml.failures["nvmlDeviceGetPowerUsage"]
        assert read(nvml, times=2, reports=reports).power == 312.5
    assert [(log["event"], log["what"], log["log_level"]) for log in logs] == [
        ("not measured", "power", "warning"),
        ("measured again", "power", "warning"),
    ]


def test_an_older_driver_is_asked_in_the_older_way() -> None:
    """A function that a driver or pynvml lacks is no failure where another tells the same."""
    nvml = ReplayedNvml.written("two_gpus")
    for newer in ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetCurrentClocksEventReasons"):
        nvml.failures[newer] = Failure.NVML_ERROR_FUNCTION_NOT_FOUND
    nvml.failures["nvmlDeviceGetComputeRunningProcesses_v3"] = Failure.NVML_ERROR_FUNCTION_NOT_FOUND
    nvml.answers["nvmlDeviceGetTemperature"] = 61
    nvml.answers["nvmlDeviceGetCurrentClocksThrottleReasons"] = 0x40
    nvml.answers["nvmlDeviceGetComputeRunningProcesses_v2"] = [{"pid": 4000001, "usedGpuMemory": 5}]
    with capture_logs() as logs:
        sample = read(nvml)
    assert (sample.temperature, sample.reasons) == (61, Reason.HW_THERMAL_SLOWDOWN)
    assert sample.processes == (("trainer", 20 * GIB), ("vllm", 5))
    assert logs == []


def test_mig_instances_are_devices_of_their_own() -> None:
    """Each has memory and programs; numbers without an instance are passed over."""
    with capture_logs() as logs:
        sample = read(ReplayedNvml.written("mig"), times=2)
    uuids = [f"MIG-7c1e2d3f-0000-4000-8000-00000000000{number}" for number in (0, 2)]
    assert sample.instances == (
        MigInstance(uuids[0], 1, 0, 1 * GIB, 20 * GIB),
        MigInstance(uuids[1], 3, 0, 3 * GIB, 20 * GIB),
    )
    assert sample.processes == (("vllm", 4 * GIB),)
    devices = [record["device"] for record in sample.records("here")]
    assert devices == ["GPU-a", *uuids, "GPU-a/process:vllm"]
    assert {log["what"] for log in logs} == {"utilization"}


@pytest.mark.parametrize("code", [Failure.NVML_ERROR_GPU_IS_LOST, Failure.NVML_ERROR_UNINITIALIZED])
@pytest.mark.parametrize(
    "function", ["nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMigMode", "nvmlDeviceGetFieldValues"]
)
def test_a_gpu_that_is_gone_is_raised(code: Failure, function: str) -> None:
    """Wherever it shows, it is not taken for a value that is missing."""
    nvml = ReplayedNvml.written("two_gpus")
    nvml.failures[function] = code
    with pytest.raises(NvmlError) as raised:
        read(nvml)
    assert raised.value.code == code


def test_a_gpu_lost_in_a_field_value_is_raised() -> None:
    """Field values have a code each, which may say so too."""
    nvml = ReplayedNvml.written("two_gpus")
    lost = {"nvmlReturn": int(Failure.NVML_ERROR_GPU_IS_LOST), "value": 0}
    nvml.answers["nvmlDeviceGetFieldValues"] = [lost, lost, lost]
    with pytest.raises(NvmlError) as raised:
        read(nvml)
    assert raised.value.code == Failure.NVML_ERROR_GPU_IS_LOST


def test_nvlink_counters_that_go_back_have_no_rate() -> None:
    """A driver that was restarted counts anew."""
    nvml = ReplayedNvml.written("two_gpus")
    reader, rates = GpuReader(nvml, A100, Reports()), []
    for at, count in ((0.0, 50), (1.0, 20), (3.0, 30)):
        answers = [{"nvmlReturn": 0, "value": count}] * len(FIELDS)
        nvml.answers["nvmlDeviceGetFieldValues"] = answers
        rates.append(reader.sample(at, NAMES.__getitem__, {}).nvlink_rate)
    assert rates == [None, None, 2 * 10 * 1024 / 2.0]


numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.none())


@given(numbers)
def test_no_number_passes_a_limit(value: Any) -> None:
    """Whatever a driver answers is within the limits or null."""
    for question in (MEMORY, *QUESTIONS, REASONS):
        for quantity in question.quantities:
            found = replace(quantity, part=None).of(value)
            assert found is None or (
                quantity.least <= found / quantity.factor <= quantity.most * (1 + 1e-9)
            )


def test_whole_numbers_stay_whole() -> None:
    """Counters are not made floats on the way."""
    assert isinstance(Quantity("n", 10).of(3), int)


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 2**40), max_size=60))
def test_programs_are_bounded_and_none_is_lost(by_name: dict[str, int]) -> None:
    """There are never more than so many names, and the sum is kept."""
    found = bounded(Counter(by_name))
    assert len(found) <= MOST_PROGRAMS
    assert sum(size for _, size in found) == sum(by_name.values())
    assert (OTHER in dict(found)) == (len(by_name) > MOST_PROGRAMS)
