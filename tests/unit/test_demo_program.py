"""A program in place of the demo's load: started with its variables, ended in order, or told of."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inferwatch.demo.program import Program
from inferwatch.embedded.errors import MissingProgramError
from inferwatch.main import app

SERVES = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("ends in order") or 0))
print(os.environ["WHERE"], flush=True)
signal.pause()
"""


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, not for time."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_runs_until_it_is_told_to_end(tmp_path: Path) -> None:
    """With its variables, its output in the log; that it was told is no error."""
    log = tmp_path / "program.log"
    with Program([sys.executable, "-c", SERVES], {"WHERE": "kafka:9092"}, log) as program:
        assert not program.ended
        program.start()
        wait_until(lambda: log.exists() and log.read_text() != "")
        program.wait(0.1)
        assert not program.ended
        program.stop()
        program.wait(20)
        assert program.ended
        assert program.error is None
    assert log.read_text().split("\n")[:2] == ["kafka:9092", "ends in order"]


def test_one_that_fails_is_told_of(tmp_path: Path) -> None:
    """By its name, its status and its log; one that is not there at the start."""
    log = tmp_path / "program.log"
    with Program([sys.executable, "-c", "raise SystemExit(3)"], {}, log) as program:
        program.start()
        program.wait(20)
        assert program.ended
        assert str(program.error) == f"{sys.executable} ended with status 3; its log is {log}."
    with pytest.raises(MissingProgramError, match="no-such-program"):
        Program(["no-such-program"], {}, log).start()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--run", ""], "The command is empty."),
        (["--run", "it's"], "No closing quotation."),
        (["--run", "true", "--trace", "x:y"], "Name a trace or a program, not both."),
    ],
)
def test_no_command_is_wrong_usage(arguments: list[str], told: str) -> None:
    """Before anything is started."""
    done = CliRunner().invoke(app, ["demo", *arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert told in done.output
