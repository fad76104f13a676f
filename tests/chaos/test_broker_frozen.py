"""The broker stops where it stands for half a minute: nothing is lost, and nothing counted twice.

It is longer than a session, so that the group breaks up, and longer than what the worker waits for
its own rows to be acknowledged, so that those are sent again.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from garbage import GARBAGE
from poison import Poison
from storm import Storm

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

FROZEN_SECONDS = 30.0
LOAD_SECONDS = 3.0


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process that is stopped with SIGSTOP meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_frozen(storm: Storm) -> None:
    """The broker freezes with events, rows and dead letters on their way to it."""
    log = storm.open_log(2 * FROZEN_SECONDS)
    storm.publish(log, seconds=LOAD_SECONDS)
    storm.ensure_worker()
    # All the time, so that some of what the worker says of it is on its way.
    storm.publish(Poison(storm), 10 * list(GARBAGE.values()), seconds=LOAD_SECONDS)
    for _ in storm.moments(1, LOAD_SECONDS):
        with frozen(storm.arena.broker.pid):
            time.sleep(FROZEN_SECONDS)
    storm.settle()
