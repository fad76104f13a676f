"""An embedded ClickHouse that a test starts from its command line."""

import http.client
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client

START_SECONDS = 60
READY = re.compile(r"ClickHouse \S+ \(chDB\) listens on 127\.0\.0\.1:(\d+)\.")


@dataclass
class Server:
    """A server process of a test."""

    process: subprocess.Popen[str]
    port: int

    def client(self, **options: Any) -> Client:
        """A clickhouse-connect client of its own."""
        return clickhouse_connect.get_client(host="127.0.0.1", port=self.port, **options)

    def http(self, timeout: float = 20) -> http.client.HTTPConnection:
        """A bare connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal the process and wait for its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=20)


def command(data: Path, *options: str) -> list[str]:
    """The server's command line on a free port."""
    module = "inferwatch.embedded.clickhouse_server"
    return [sys.executable, "-m", module, "--port", "0", "--data", str(data), *options]


def start(data: Path, *options: str) -> Server:
    """Start a server and wait until it says that it listens."""
    process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
        command(data, *options), stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    line = process.stdout.readline()
    watchdog.cancel()
    found = READY.match(line)
    assert found, f"the server said {line!r} in place of its address"
    return Server(process, int(found[1]))
