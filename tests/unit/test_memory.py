"""Memory that comes and goes by the megabyte stays with the process."""

import subprocess
import sys

import pytest

from inferwatch_schemas import memory

# Takes and frees chunks, and prints the page faults that each round of them took.
CHURN = """
import resource, sys
from inferwatch_schemas.memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    print("no glibc")
    raise SystemExit
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    chunks = [bytearray(b"x" * (size << 20)) for size in (3, 9, 20)]
    del chunks
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> list[int]:
    """Page faults of each round, in a process of its own."""
    done = subprocess.run(  # noqa: S603  # our own program, no shell
        [sys.executable, "-c", CHURN, how], capture_output=True, text=True, check=True, timeout=60
    )
    if done.stdout.startswith("no glibc"):
        pytest.skip("the C library is not glibc")
    return [int(line) for line in done.stdout.split()]


def test_what_is_freed_is_used_again() -> None:
    """After the first round no fresh pages are taken, where by default every round takes them."""
    assert sum(faults("keep")[2:]) < sum(faults("by default")[2:]) / 4


def test_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no glibc to tell, nothing is done."""
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert not memory.keep_freed_memory()
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    assert not memory.keep_freed_memory()
