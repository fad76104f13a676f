"""Which CPUs a contender has to itself, apart from the servers it talks to.

Beside a server that is as busy as the contender, on the same CPUs, the same work was seen to take
more CPU time (why was not measured; caches are likely). A database may have a machine of its own.
Linux alone keeps processes to CPUs this way; elsewhere, and on one CPU, nothing is kept apart.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def _kept_to() -> frozenset[int]:
    """CPUs that this thread, and what it starts, may use; empty where that is not known."""
    return frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else frozenset()


ALLOWED = _kept_to()


@contextmanager
def _keep_to(cpus: frozenset[int]) -> Iterator[None]:
    before = _kept_to()
    if sys.platform == "linux":
        os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        if sys.platform == "linux":
            os.sched_setaffinity(0, before)


@contextmanager
def one_left_free() -> Iterator[bool]:
    """Keep this process and what it starts off one CPU; yields whether that is so."""
    if len(ALLOWED) < 2:  # one to leave free, and one to run on
        yield False
        return
    with _keep_to(ALLOWED - {min(ALLOWED)}):
        yield True


@contextmanager
def on_what_is_free() -> Iterator[None]:
    """Start processes on the CPUs that this one keeps off, if there are any."""
    free = ALLOWED - _kept_to()
    if not free:
        yield
        return
    with _keep_to(free):
        yield
