"""What the host agent costs: CPU seconds of its process, in percent of a core.

    python -m tests.benchmarks.agent_overhead

First as it is installed, at the default interval on this host; then with eight GPUs, which a
compiled stand-in for NVML shows to the real pynvml, at a short interval, so that one sample can be
told. NVML's own time on real hardware is in neither.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from inferwatch_agents.host.settings import DEFAULT_INTERVAL_SECONDS

FAKE = Path(__file__).parents[1] / "integration" / "fake_nvml.c"
GPUS = 8
SECONDS = 20.0
SHORT_INTERVAL = 0.5
# Importing and the first samples are over.
SETTLED_SECONDS = 4.0


def cost(*options: str, libraries: str = "") -> float:
    """CPU seconds a second of an agent without Kafka, once it has settled."""
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "inferwatch", "agent", "--metrics-port", "0", *options],
        env=os.environ | {"LD_LIBRARY_PATH": libraries},
    ) as agent:
        process = psutil.Process(agent.pid)
        time.sleep(SETTLED_SECONDS)
        before, began = process.cpu_times(), time.monotonic()
        time.sleep(SECONDS)
        after, seconds = process.cpu_times(), time.monotonic() - began
        agent.terminate()
    return (after.user + after.system - before.user - before.system) / seconds


def main() -> None:
    """Measure, and print."""
    plain = cost("--processes", "python")
    print(f"{len(psutil.pids())} processes, to Kafka that is away: {plain:.3%} of a core")  # noqa: T201  # its result
    quiet = cost("--processes", "python", "--no-kafka")
    print(f"the same without Kafka: {quiet:.3%} of a core")  # noqa: T201  # its result
    compiler = shutil.which("cc")
    if compiler is None:
        sys.exit("There is no C compiler for the stand-in for NVML.")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "libnvidia-ml.so.1"
        subprocess.run(  # noqa: S603  # the compiler of this machine, and our own source
            [compiler, "-shared", "-fPIC", "-O1", f"-DGPUS={GPUS}", "-o", library, FAKE], check=True
        )
        busy = cost("--no-kafka", "--interval", str(SHORT_INTERVAL), libraries=folder)
    each = busy * SHORT_INTERVAL
    print(f"{GPUS} GPUs: {1000 * each:.1f} ms a sample, host and waits for events included, ")  # noqa: T201  # its result
    print(f"which is {each / DEFAULT_INTERVAL_SECONDS:.3%} of a core at the default interval")  # noqa: T201  # its result


if __name__ == "__main__":
    main()
