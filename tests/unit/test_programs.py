"""Programs by name: what a process may be called by, and what those of a name take together."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from inferwatch_agents.host.processes import UNKNOWN, Processes, names_of, readable
from inferwatch_agents.host.reports import Reports
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder

# No other process of this machine is called so.
NAME = f"inferwatch-test-{os.getpid()}"
BUSY = "import sys\nprint(flush=True)\nwhile True: pass"
HEADER = {"event_id": "e", "producer_id": "p", "sequence": 0, "event_time": 1}


@contextmanager
def program(*code: str) -> Iterator[int]:
    """A process that is called ``NAME`` by its command line, until the end of the block."""
    with subprocess.Popen(  # noqa: S603  # our own interpreter and constant code
        [NAME, "-c", *code], executable=sys.executable, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("name", "command", "names"),
    [
        ("nginx", ["nginx: master process"], {"nginx", "nginx: master process"}),
        ("python3.11", ["/usr/bin/python3.11", "/opt/bin/vllm", "serve"],
         {"python3.11", "vllm"}),
        ("python", ["python", "-m", "vllm.entrypoints"], {"python", "vllm.entrypoints"}),
        ("python", ["python", "-c", "vllm"], {"python"}),
        ("kworker/0:1", [], {"kworker/0:1"}),
        ("x", ["/usr/bin/x", "-v"], {"x"}),
    ],
)  # fmt: skip
def test_a_process_is_known_by_its_program_script_and_module(
    name: str, command: list[str], names: set[str]
) -> None:
    """An interpreter's name alone would say nothing."""
    assert set(names_of(name, command)) == names


def test_cpu_and_memory_of_a_program() -> None:
    """A busy process shows CPU from its second sample on, and the record fits the schema."""
    reports = Reports()
    processes = Processes([NAME], reports)
    with program(BUSY) as pid:
        (first,) = processes.sample(0.0)
        process = psutil.Process(pid)
        began = process.cpu_times().user
        while process.cpu_times().user - began < 0.1:
            pass
        (second,) = processes.sample(1.0)
        assert processes.name_of(pid) == NAME
    assert (first.count, first.cpu) == (1, None)
    assert first.memory > 1_000_000
    assert second.cpu is not None
    assert second.cpu >= 0.1 / (psutil.cpu_count() or 1) * 0.9
    record = second.record("here")
    assert (record["device"], record["memory_used_bytes"]) == (f"process:{NAME}", second.memory)
    assert Encoder("resource", PinnedRegistry()).encode(record | HEADER)
    (gone,) = processes.sample(2.0)
    assert (gone.count, gone.memory, gone.cpu) == (0, 0, 0.0)
    assert reports.failing() == {}


def test_a_process_counts_for_the_first_name_that_fits() -> None:
    """None is counted twice."""
    python = psutil.Process().name()
    with program(BUSY):
        found = Processes([NAME, python], Reports()).sample(0.0)
        assert [each.count for each in found][:1] == [1]
        both = Processes([NAME, NAME], Reports())
        assert sum(each.count for each in both.sample(0.0)) == 1


def test_what_is_refused_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is known, and what it takes is not ours to see."""

    def refused(_: psutil.Process) -> float:
        raise psutil.AccessDenied

    reports = Reports()
    with capture_logs() as logs, program(BUSY), monkeypatch.context() as patch:
        patch.setattr(psutil.Process, "create_time", refused)
        processes = Processes([NAME], reports)
        counts = [processes.sample(now)[0].count for now in (0.0, 1.0, 2.0)]
    assert counts == [0, 0, 0]
    assert [log["event"] for log in logs] == ["not measured"]


def test_without_names_nothing_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of processes is not even read."""
    monkeypatch.setattr(psutil, "process_iter", None)
    assert Processes([], Reports()).sample(0.0) == []


def test_a_process_that_ended_is_unknown() -> None:
    """A GPU may still name it, or one in another container."""
    processes = Processes([NAME], Reports())
    assert processes.name_of(2**22 + 1) == UNKNOWN
    assert processes.name_of(os.getpid()) == psutil.Process().name()


@given(st.text())
def test_names_are_text_that_can_be_encoded(name: str) -> None:
    """Bytes that are no UTF-8 come from the system as surrogates, which Avro refuses."""
    readable(name + "\udcff").encode()
