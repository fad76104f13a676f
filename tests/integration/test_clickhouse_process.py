"""The embedded ClickHouse as a process: its start, its limits and its end."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_process import READY, command, start


def test_killed_and_started_again(tmp_path: Path) -> None:
    """After kill -9 every acknowledged row, view and function is there, and the start is quick."""
    first = start(tmp_path)
    client = first.client()
    client.command("CREATE TABLE t (n UInt64) ORDER BY n")
    client.command("CREATE VIEW doubled AS SELECT n * 2 AS m FROM t")
    client.command("CREATE FUNCTION plus_one AS (x) -> x + 1")
    acknowledged: list[int] = []

    def write() -> None:
        own = first.client()
        while True:
            value = len(acknowledged)
            try:
                own.raw_insert("t", None, f"{value}\n", fmt="CSV")
            except (DatabaseError, OSError):
                return
            acknowledged.append(value)

    writer = threading.Thread(target=write)
    writer.start()
    deadline = time.monotonic() + 20
    while len(acknowledged) < 50 and time.monotonic() < deadline:
        time.sleep(0.01)
    first.end(signal.SIGKILL)
    writer.join(timeout=20)
    assert len(acknowledged) >= 50
    begin = time.monotonic()
    second = start(tmp_path)
    assert time.monotonic() - begin < 5
    stored = {row[0] for row in second.client().query("SELECT n FROM t").result_rows}
    assert stored >= set(acknowledged)
    assert second.client().command("SELECT plus_one(max(m)) FROM doubled") >= 2 * 49 + 1
    assert second.end() == 0


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A query beyond the memory limit is refused, and the next one runs."""
    limited = start(tmp_path, "--max-memory-bytes", str(400 << 20))
    with pytest.raises(DatabaseError) as caught:
        limited.client().raw_query("SELECT number FROM numbers(200000000)")
    assert caught.value.code == 241
    assert limited.client().command("SELECT 1") == 1
    assert limited.end(signal.SIGINT) == 0


def test_what_keeps_it_from_starting(tmp_path: Path) -> None:
    """Each obstacle is one sentence on stderr and exit code 2."""
    used = tmp_path / "used"
    other = start(used)
    for options, reason in (
        (["--data", str(used)], "is in use by another embedded ClickHouse"),
        (["--data", str(tmp_path / "new"), "--port", str(other.port)], "choose another --port"),
        (["--data", "/proc/nowhere"], "cannot be written"),
        (["--data", str(tmp_path / "what?")], "without ? in its name"),
        (["--data", str(tmp_path / "new"), "--host", "192.0.2.1"], "Cannot listen on 192.0.2.1"),
    ):
        ended = subprocess.run(  # noqa: S603 - this interpreter and this module
            [*command(tmp_path), *options], capture_output=True, text=True, timeout=60, check=False
        )
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
        assert reason in ended.stderr
    assert other.end() == 0


def test_without_chdb(tmp_path: Path) -> None:
    """Where chDB is not installed, the sentence says what to install."""
    (tmp_path / "chdb.py").write_text("raise ImportError('No module named chdb')")
    ended = subprocess.run(  # noqa: S603 - this interpreter and this module
        command(tmp_path / "data"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "pip install 'inferwatch[embedded]'" in ended.stderr


def test_ends_with_its_parent(tmp_path: Path) -> None:
    """A server whose parent was killed ends by itself and frees its directory."""
    script = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([*sys.argv[1:], '--parent-pid', str(os.getpid())])\n"
        "time.sleep(100)\n"
    )
    parent = subprocess.Popen(  # noqa: S603 - this interpreter and the script above
        [sys.executable, "-c", script, *command(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert READY.match(parent.stdout.readline())
    parent.kill()
    parent.wait(timeout=10)
    # The child holds the other end of the pipe until it has ended.
    watchdog = threading.Timer(30, parent.stdout.close)
    watchdog.start()
    assert parent.stdout.read() == ""
    watchdog.cancel()
    assert start(tmp_path).end() == 0
