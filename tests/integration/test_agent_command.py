"""`inferwatch agent` as a process: a driver's library loaded by pynvml, a scrape, a recording."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from inferwatch.main import run

FAKE = Path(__file__).parent / "fake_nvml.c"
GPU_0, GPU_1, MIG = (f"{k}-0fa4e000-0000-4000-8000-{n:012d}"
                     for k, n in (("GPU", 0), ("GPU", 1), ("MIG", 2)))  # fmt: skip
COMPILER = shutil.which("cc") or shutil.which("gcc")
PROMTOOL = shutil.which("promtool")
# A value, which comes with the second sample; the help is there before.
CPU = "\nsystem_cpu_usage_percent "
LABEL = re.compile(r'\w+="[^"]*"')


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a compiled stand-in for NVML."""
    if COMPILER is None:
        pytest.skip("no C compiler here, so that pynvml has no library to load")
    folder = tmp_path_factory.mktemp("nvml")
    subprocess.run(  # noqa: S603  # the compiler of this machine, and our own source
        [COMPILER, "-shared", "-fPIC", "-O1", "-o", folder / "libnvidia-ml.so.1", FAKE],
        check=True, timeout=60,
    )  # fmt: skip
    return folder


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(*options: str, libraries: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """The agent without Kafka, ended afterwards."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("INFERWATCH_")}
    if libraries is not None:
        variables["LD_LIBRARY_PATH"] = str(libraries)
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "inferwatch", "agent", "--no-kafka", "--interval", "0.2", *options],
        env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def page(port: int, path: str, ready: Callable[[str], bool]) -> str:
    """What is served there, once it is as it should be."""
    deadline = time.monotonic() + 20
    text = ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            text = ""
        if ready(text):
            return text
        time.sleep(0.05)
    pytest.fail(f"not served: {text}")


def values(text: str) -> dict[str, float]:
    """Value by metric with its labels, in the order of their names."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {named(name): float(value) for name, _, value in lines}


def named(metric: str) -> str:
    """A metric with its labels in the order of their names."""
    name, _, labels = metric.partition("{")
    return f"{name}{{{','.join(sorted(re.findall(LABEL, labels)))}}}"


def test_a_drivers_answers_arrive_in_metrics_and_in_a_recording(
    driver: Path, tmp_path: Path
) -> None:
    """Through the real pynvml: structures, units, MIG, two identical XID errors, both pages."""
    port, recording = free_port(), tmp_path / "recording.jsonl"
    with running(
        "--metrics-port", str(port), "--processes", "inferwatch", "--host-name", "here",
        "--record", str(recording), "--pseudonyms", libraries=driver,
    ) as process:  # fmt: skip
        xids = f'system_gpu_xid_errors_total{{gpu_id="{GPU_0}",xid="31"}} 2.0'
        text = page(port, "/metrics", lambda text: xids in text and CPU in text)
        found = values(text)
        dcgm = values(page(port, "/metrics/dcgm", lambda text: "DCGM_FI_DEV_FB_USED{" in text))
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 0, told
    gpu = f'{{gpu_id="{GPU_0}"}}'
    expected = {
        "system_gpu_usage_percent": 57, "system_gpu_memory_usage_percent": 75,
        "system_gpu_temperature_celsius": 64, "system_gpu_memory_temperature_celsius": 58,
        "system_gpu_power_watts": 312.5, "system_gpu_energy_joules_total": 7200000.123,
        "system_gpu_sm_clock_hertz": 1.41e9, "system_gpu_memory_clock_hertz": 1.593e9,
    }  # fmt: skip
    assert {name: found.get(named(name + gpu)) for name in expected} == pytest.approx(expected)
    a, b = f'gpu_id="{GPU_0}"', f'gpu_id="{GPU_1}"'
    labelled = {
        f'system_gpu_info{{{a},index="0",name="Fake A100",pci_bus_id="00000000:07:00.0"}}': 1,
        f'system_gpu_throttle_reason{{{a},reason="sw_power_cap"}}': 1,
        f'system_gpu_throttle_reason{{{a},reason="gpu_idle"}}': 0,
        f'system_gpu_ecc_errors_total{{{a},type="corrected"}}': 1,
        f'system_gpu_ecc_errors_total{{{a},type="uncorrected"}}': 3,
        f'system_gpu_pcie_bytes_per_second{{direction="receive",{a}}}': 1.5e9,
        f'system_gpu_nvlink_bytes_total{{direction="transmit",{a}}}': 5000 * 1024,
        f'system_gpu_process_memory_bytes{{{a},process="inferwatch"}}': 2**30,
        f'system_gpu_process_memory_bytes{{{a},process="unknown"}}': 2**31,
        f'system_gpu_mig_memory_used_bytes{{{b},mig="{MIG}"}}': 2**31,
        f'system_gpu_process_memory_bytes{{{b},process="inferwatch"}}': 2**30,
    }
    assert {name: found.get(named(name)) for name in labelled} == labelled
    assert found[named('system_processes{process="inferwatch"}')] >= 1
    assert named(f"system_gpu_usage_percent{{{b}}}") not in found
    labels = (
        f'{{gpu="0",UUID="{GPU_0}",pci_bus_id="00000000:07:00.0",device="nvidia0",'
        'modelName="Fake A100",Hostname="here"}'
    )
    expected = {
        "DCGM_FI_DEV_GPU_UTIL": 57, "DCGM_FI_DEV_MEM_COPY_UTIL": 31, "DCGM_FI_DEV_ENC_UTIL": 5,
        "DCGM_FI_DEV_DEC_UTIL": 12, "DCGM_FI_DEV_FB_USED": 61440, "DCGM_FI_DEV_FB_FREE": 19456,
        "DCGM_FI_DEV_POWER_USAGE": 312.5, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 7200000123,
        "DCGM_FI_DEV_GPU_TEMP": 64, "DCGM_FI_DEV_MEMORY_TEMP": 58, "DCGM_FI_DEV_SM_CLOCK": 1410,
        "DCGM_FI_DEV_MEM_CLOCK": 1593, "DCGM_FI_DEV_XID_ERRORS": 31,
        "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": 9, "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": 4,
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": 1, "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": 3,
        "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL": 5, "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL": 7,
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": 3, "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": 2,
        "DCGM_FI_DEV_ROW_REMAP_FAILURE": 0,
    }  # fmt: skip
    shown = {name: dcgm.get(named(name + labels)) for name in expected}
    assert shown == pytest.approx(expected, rel=1e-12)
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    assert lines[0]["pseudonyms"] is True
    calls = [line["call"] for line in lines[1:]]
    assert calls.count("nvmlEventSetWait_v2") == 2
    assert calls[0] == "nvmlInit"
    assert calls[-1] == "nvmlShutdown"
    assert "0fa4e000" not in recording.read_text()


@pytest.mark.external
@pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian's prometheus) is not here")
def test_promtool_has_nothing_to_say_of_the_page(driver: Path) -> None:
    """Neither of the metrics of GPUs, nor of those of the host alone."""
    for libraries in (driver, None):
        port = free_port()
        with running("--metrics-port", str(port), libraries=libraries):
            text = page(port, "/metrics", lambda text: CPU in text)
        assert (GPU_0 in text) is (libraries is not None)
        done = subprocess.run(  # noqa: S603  # Debian's own
            [str(PROMTOOL), "check", "metrics"], input=text, capture_output=True, text=True,
            check=False, timeout=20,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


def test_without_a_driver_the_host_is_sampled() -> None:
    """One line says that there is no library."""
    port = free_port()
    with running("--metrics-port", str(port), "--processes", "nobody") as process:
        text = page(port, "/metrics", lambda text: CPU in text)
        page(port, "/health", lambda text: text == "")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 0
    assert told.count("\n") == 1
    assert "NVML Shared Library Not Found" in told
    found = values(text)
    assert found[named('system_processes{process="nobody"}')] == 0
    assert found[named('inferwatch_agent_not_measured{device="",what="driver"}')] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--interval", "nan"], "The interval is nan seconds; give 0.1 to 3600 with --interval."),
        (["--interval", "0"], "give 0.1 to 3600 with --interval."),
        (["--disk-path", "/nowhere"], "There is no /nowhere; give a folder of the disk"),
        (["--processes", "a,,b"], "give up to 50, separated by commas."),
        (["--pseudonyms"], "give --record FILE with it."),
        (["--record", "/nowhere/file"], "/nowhere/file cannot be written"),
        (["--metrics-address", "256.0.0.1"], "Metrics cannot be served on 256.0.0.1:"),
        (["--bootstrap-servers", "nonsense:port"], "nonsense:port"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    options: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It says what to change, and nothing is started."""
    monkeypatch.setattr(sys, "argv", ["inferwatch", "agent", *options])
    # What is of a process, and this one is the tests'.
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(structlog, "configure", lambda **_: None)
    with pytest.raises(SystemExit) as ended:
        run()
    assert said in str(ended.value.code) or said in capsys.readouterr().err
    assert str(ended.value.code).count("\n") == 0
    assert not any("sampler" in thread.name for thread in threading.enumerate())
