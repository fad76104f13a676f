"""The service and its load together, for the demo: both end with a signal or with each other."""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
START_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.1


def main() -> int:
    """Run both; the status of whichever ended first."""
    parser = argparse.ArgumentParser(description="The chat service and its load.")
    parser.add_argument("--port", type=int, default=0, help="of the service; a free one if 0")
    told, of_load = parser.parse_known_args()
    port = str(told.port or _free_port())
    # As Ctrl-C does: what is in the "with" blocks is told, and waited for.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    uvicorn = [
        *("-m", "uvicorn", "--app-dir", str(FOLDER), "service:app"),
        *("--port", port, "--log-level", "warning"),
    ]
    load = [str(FOLDER / "load.py"), "--url", f"http://127.0.0.1:{port}", *of_load]
    service = subprocess.Popen([sys.executable, *uvicorn])  # noqa: S603  # our own program, no shell
    clients: subprocess.Popen[bytes] | None = None
    try:
        _wait_until_served(service, int(port))
        sys.stdout.write(f"http://127.0.0.1:{port}/docs, metrics at /metrics\n")
        sys.stdout.flush()
        clients = subprocess.Popen([sys.executable, *load])  # noqa: S603  # as above
        while service.poll() is None and clients.poll() is None:
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        return 0
    else:
        return service.returncode or clients.returncode or 0
    finally:
        for process in filter(None, (clients, service)):
            process.terminate()
            process.wait()


def _wait_until_served(service: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and service.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(POLL_SECONDS)
        else:
            return
    raise SystemExit("The service does not start; what it said is above.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    raise SystemExit(main())
