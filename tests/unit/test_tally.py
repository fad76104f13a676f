"""What a process has counted outlives it, exactly, and is taken for nobody else's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inferwatch_agents import spool as spool_module
from inferwatch_agents.errors import ConfigurationError
from inferwatch_agents.spool import MAX_AGE_SECONDS, MAX_FILES, OFF, Spool, open_spool
from inferwatch_agents.tally import MAGIC, SIZE, Dead, Numbers, Tally, Told, parse

COUNTS = """
import os, sys
from pathlib import Path
from inferwatch_agents.spool import Spool
tally = Spool(Path(sys.argv[1]), "chat", "test", "kafka:9092").create("producer")
requests, logs = tally.numbers("request"), tally.numbers("log")
if sys.argv[2] == "child" and os.fork() == 0:
    tally.release()
    Path(sys.argv[1]).with_suffix(".child").write_text(str(os.getpid()))
    sys.stdin.read()
    os._exit(0)
while True:
    print(requests.take(), flush=True)
    requests.take()
    logs.take()
    if requests.made == 2000:
        sys.stdin.read()
"""


def spool(folder: Path, **given: str) -> Spool:
    """A spool as that of the program above."""
    return Spool(
        folder, **({"service": "chat", "environment": "test", "kafka": "kafka:9092"} | given)
    )


def start(folder: Path, how: str = "alone") -> "subprocess.Popen[str]":
    """Start the program above."""
    return subprocess.Popen(  # noqa: S603  # our own program, no shell
        [sys.executable, "-c", COUNTS, str(folder), how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_killed_process_leaves_what_it_counted(tmp_path: Path) -> None:
    """While it lives nobody claims it, then one does, and another after that one gave up."""
    with start(tmp_path) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(1000)]
        assert lines[-1] == "1998\n"
        assert list(spool(tmp_path).claim()) == []
        process.kill()
    (claimed,) = spool(tmp_path).claim()
    assert claimed.producer_id == "producer"
    # What was told is counted; of what came after it, as much as the process came to do.
    counted = claimed.told.made["request"], claimed.told.made["log"]
    assert counted in ((1999, 999), (2000, 999), (2000, 1000))
    assert list(spool(tmp_path).claim()) == []
    claimed.file.release()
    assert list(spool(tmp_path, service="other").claim()) == []
    assert list(spool(tmp_path, kafka="other").claim()) == []
    (again,) = spool(tmp_path).claim()
    assert again.told == claimed.told
    again.file.remove()
    assert list(spool(tmp_path).claim()) == list(tmp_path.iterdir()) == []


def test_a_forked_child_does_not_keep_its_parent_alive(tmp_path: Path) -> None:
    """A worker that goes on after its parent was killed does not hide the parent's end."""
    folder = tmp_path / "spool"
    folder.mkdir()
    pid_file = folder.with_suffix(".child")
    with start(folder, "child") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(1000)][-1] == "1998\n"
        wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
        process.kill()
        process.wait(20)
        child = int(pid_file.read_text())
        try:
            (claimed,) = spool(folder).claim()
            assert claimed.told.made["request"] in {1999, 2000}
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, not for time."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Interrupted:
    """Memory that another event of the same thread comes in between, wherever it can."""

    def __init__(self, times: int) -> None:
        self.numbers: Numbers | None = None
        self.value = 0
        self.times = times

    def _come_in(self) -> None:
        if self.times and self.numbers is not None:
            self.times -= 1
            self.numbers.take()

    def __getitem__(self, _place: int) -> int:
        self._come_in()
        value = self.value
        self._come_in()
        return value

    def __setitem__(self, _place: int, value: int) -> None:
        self._come_in()
        self.value = value
        self._come_in()


@pytest.mark.parametrize("times", range(12))
def test_an_interrupted_count_does_not_fall_behind(times: int) -> None:
    """As by a signal handler or a finaliser that ends a call."""
    cells: Any = Interrupted(times)
    cells.numbers = Numbers(cells)
    taken = [cells.numbers.take() for _ in range(3)]
    assert cells.value == cells.numbers.made == 3 + times
    assert taken == sorted(set(taken))


def test_names_and_room_have_an_end(tmp_path: Path) -> None:
    """What does not fit into the file is counted in memory."""
    tally = Tally(tmp_path / "x")
    every = [tally.numbers(name) for name in ("a" * 56, "b" * 57, *map(str, range(80)))]
    for numbers in every:
        assert [numbers.take(), numbers.take()] == [0, 1]
    tally.release()
    made = parse(Dead(tmp_path / "x").content).made
    assert set(made) == {"a" * 56, *map(str, range(61))}
    assert set(made.values()) == {2}


@given(st.binary(max_size=200).map(lambda found: (MAGIC + found).ljust(SIZE, b"\0")) | st.binary())
@example(b"")
@example(MAGIC + bytes(SIZE - 8))
def test_any_bytes_are_a_tally_or_none(content: bytes) -> None:
    """A torn or foreign file makes no event that could not be."""
    try:
        told = parse(content)
    except ValueError:
        return
    assert isinstance(told, Told)
    assert told.seen >= 0
    assert all(count > 0 for count in told.made.values())


def test_what_nobody_claims_is_removed_in_the_end(tmp_path: Path) -> None:
    """Foreign, torn and empty files too, but none before its time."""
    foreign = spool(tmp_path, service="other").create("p")
    empty = spool(tmp_path).create("q")
    assert foreign is not None
    assert empty is not None
    foreign.numbers("request").take()
    old = foreign.path.stat().st_mtime - MAX_AGE_SECONDS - 10
    for name in ("torn", ".half-made"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (old, old))
    (tmp_path / "fresh").write_bytes(b"")
    os.utime(foreign.path, (old, old))
    assert list(spool(tmp_path).claim()) == []
    assert {path.name for path in tmp_path.iterdir()} == {
        foreign.path.name, empty.path.name, "fresh",
    }  # fmt: skip
    foreign.seen(int(old * 1e6))
    foreign.release()
    empty.release()
    assert list(spool(tmp_path).claim()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"fresh"}


def test_the_folder_is_bounded(tmp_path: Path) -> None:
    """Where it is full no more is made, and that is an error for whoever counts it."""
    for number in range(MAX_FILES):
        (tmp_path / str(number)).touch()
    with pytest.raises(OSError, match="1000 files"):
        spool(tmp_path).create("p")
    assert Spool(None, "chat", "test", "").create("p") is None


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    """It names the folder, the variable, and the word that turns it off."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file of INFERWATCH_STATE_DIR .* or off\.$"):
        open_spool(str(tmp_path / "file"), "chat", "test", "")
    made = open_spool(str(tmp_path / "a" / "b"), "chat", "test", "")
    assert (tmp_path / "a" / "b").is_dir()
    assert made.create("p") is not None
    assert open_spool(OFF, "chat", "test", "").create("p") is None


def test_a_folder_that_another_may_write_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder open to all, somebody may have made ours before us."""
    monkeypatch.setattr("inferwatch_agents.spool.MEMORY", tmp_path)
    assert open_spool(None, "chat", "test", "").create("p") is not None
    (own,) = tmp_path.iterdir()
    assert own.stat().st_mode & 0o777 == 0o700
    own.chmod(0o777)
    assert open_spool(None, "chat", "test", "").create("q") is None


def test_a_file_in_the_making_is_left_to_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who locks it for a moment, to see whether its process is dead, would keep it from its own."""
    (tmp_path / ".prefix.producer").write_bytes(b"")
    (tmp_path / "prefix.producer").write_bytes(b"")
    locked: list[str] = []

    def dead(path: Path) -> Dead:
        locked.append(path.name)
        return Dead(path)

    monkeypatch.setattr(spool_module, "Dead", dead)
    assert list(spool(tmp_path).claim()) == []
    assert locked == ["prefix.producer"]
