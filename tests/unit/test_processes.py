"""Child processes: readiness, logs, stopping, and dying with their parent."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from inferwatch.embedded.errors import (
    EmbeddedError,
    MissingProgramError,
    PortInUseError,
    StartError,
)
from inferwatch.embedded.processes import Child, accepts_connections, free_port, require_free

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
PARENT = """
import os, sys, time
from pathlib import Path
from inferwatch.embedded.processes import Child
command = [sys.executable, "-c", "import time; time.sleep(60)"]
child = Child.start(command, name="c", log=Path(sys.argv[1]))
print(child.pid, flush=True)
{end}
"""


def runs(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Poll a condition until it holds or the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_started_child_runs_until_it_is_stopped(tmp_path: Path) -> None:
    """A child is alive after start and gone after stop, and stopping twice is allowed."""
    child = Child.start(SLEEPER, name="sleeper", log=tmp_path / "logs" / "sleeper.log")
    assert child.alive
    assert runs(child.pid)
    child.stop()
    child.stop()
    assert not child.alive
    assert not runs(child.pid)


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """Stop falls back to SIGKILL when SIGTERM was not heeded in time."""
    log = tmp_path / "deaf.log"
    with Child.start([sys.executable, "-c", DEAF], name="deaf", log=log) as child:
        child.wait_ready(lambda: "deaf" in log.read_text(), 10)
        started = time.monotonic()
        child.stop(timeout_seconds=0.3)
        assert time.monotonic() - started >= 0.3
        assert not runs(child.pid)


def test_an_exit_before_readiness_quotes_this_runs_log(tmp_path: Path) -> None:
    """The message holds the exit status and the log's last lines, not those of an earlier run."""
    log = tmp_path / "server.log"
    log.write_text("of an earlier run\n")
    command = [sys.executable, "-c", "print('no room'); print('left on device'); exit(3)"]
    with Child.start(command, name="the server", log=log) as child:
        with pytest.raises(StartError) as caught:
            child.wait_ready(lambda: False, 10)
        assert "the server ended with status 3" in str(caught.value)
        assert "no room | left on device" in str(caught.value)
        assert "earlier" not in str(caught.value)


def test_a_late_child_is_stopped_and_named(tmp_path: Path) -> None:
    """A child that is not ready in time is stopped, and the message says how long it had."""
    with Child.start(SLEEPER, name="the sleeper", log=tmp_path / "log") as child:
        with pytest.raises(
            StartError, match=r"the sleeper was not ready after 0\.2 s; .*\(empty\)"
        ):
            child.wait_ready(lambda: False, 0.2)
        assert not runs(child.pid)


def test_a_missing_program_is_one_sentence(tmp_path: Path) -> None:
    """A command that does not exist is named in the message."""
    with pytest.raises(MissingProgramError, match="/no/such/server: No such file"):
        Child.start(["/no/such/server"], name="the server", log=tmp_path / "log")


def test_an_unwritable_log_is_one_sentence(tmp_path: Path) -> None:
    """A log in a place that is no folder is named in the message."""
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match="the server cannot write its log"):
        Child.start(SLEEPER, name="the server", log=tmp_path / "file" / "log")


def test_variables_are_added_to_the_environment(tmp_path: Path) -> None:
    """A child sees the parent's variables and the added ones."""
    log = tmp_path / "log"
    command = [sys.executable, "-c", "import os; print(os.environ['PATH'], os.environ['ADDED'])"]
    with Child.start(command, name="printer", log=log, env={"ADDED": "yes"}):
        assert eventually(lambda: log.read_text() == f"{os.environ['PATH']} yes\n")


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), 9)", "sys.exit(0)", "time.sleep(60)"], ids=["kill", "exit", "9"]
)
def test_a_child_dies_with_its_parent(tmp_path: Path, end: str) -> None:
    """However the parent ends, by itself or by somebody's kill -9, the child is gone soon after."""
    with subprocess.Popen(  # noqa: S603 -- this interpreter and a script of this file
        [sys.executable, "-c", PARENT.format(end=end), str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if "sleep" in end:
            assert runs(pid)
            os.kill(parent.pid, signal.SIGKILL)
        parent.wait(10)
        assert eventually(lambda: not runs(pid))


def test_a_stopped_child_leaves_no_process_behind(tmp_path: Path) -> None:
    """The shell that watches for the parent's end goes with the child."""
    before = set(psutil.Process().children())
    child = Child.start(SLEEPER, name="sleeper", log=tmp_path / "log")
    assert len(set(psutil.Process().children()) - before) == 2
    child.kill()
    assert set(psutil.Process().children()) == before


def test_a_port_in_use_is_refused_and_a_free_one_is_not() -> None:
    """The message names the port that something else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert accepts_connections(port)
        with pytest.raises(
            PortInUseError, match=rf"the server cannot listen on 127\.0\.0\.1:{port}"
        ):
            require_free(port, name="the server")
    require_free(free_port(), name="the server")
    assert not accepts_connections(free_port())


def test_a_port_that_cannot_be_is_refused() -> None:
    """A number above 65535 is one sentence too."""
    with pytest.raises(PortInUseError, match="70000"):
        require_free(70_000, name="the server")
