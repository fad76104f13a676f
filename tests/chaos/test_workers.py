"""Workers die, join, leave and come back from the dead; every row comes out exact."""

import time

import pytest
from arena import Arena
from comparison import assert_equal_versions_are_equal, fingerprints
from pipeline import Worker, wait_until
from storm import Storm

pytestmark = pytest.mark.chaos

MOST_WORKERS = 3
# A load goes on for as long as the faults take; what is left of it then is published at once.
LOAD_SECONDS = 15.0


def have_two(storm: Storm) -> None:
    """Have two workers: survivors of the last seed, and new ones."""
    while len(storm.arena.workers) < 2:
        storm.start_worker()


def joined(worker: Worker) -> int:
    """How often a worker began to join its groups."""
    return worker.said.count("(Re-)joining group")


def assigned(worker: Worker) -> int:
    """How often a worker was given partitions, by either group."""
    return worker.said.count("Setting newly assigned partitions")


def test_killed(storm: Storm) -> None:
    """Workers are killed with SIGKILL at random moments, and new ones started in their place."""
    have_two(storm)
    storm.publish(seconds=4)
    for _ in storm.moments(storm.chance.randint(1, 2), 4):
        storm.arena.kill(storm.chance.choice(storm.arena.workers))
        storm.start_worker()
    storm.settle()


def test_joining_and_leaving(storm: Storm) -> None:
    """From one worker to three and back, some of them leaving in order and some killed."""
    arena = storm.arena
    storm.ensure_worker()
    storm.publish(seconds=LOAD_SECONDS)
    while len(arena.workers) < MOST_WORKERS:
        storm.start_worker()
    # Some seeds take workers away that have hardly come.
    if storm.chance.random() < 0.7:
        storm.wait_at_work(*arena.workers)
    for _ in storm.moments(MOST_WORKERS - 1, 1.5):
        leave = storm.chance.choice((arena.stop, arena.kill))
        leave(storm.chance.choice(arena.workers))
    storm.settle()


def test_killed_while_rebalancing(storm: Storm) -> None:
    """One worker leaves, and while the others share its partitions out one of them is killed."""
    arena = storm.arena
    have_two(storm)
    storm.start_worker()
    storm.publish(seconds=LOAD_SECONDS)
    storm.wait_at_work(*arena.workers)
    leaving, victim, survivor = storm.chance.sample(arena.workers, 3)
    before = joined(survivor)
    leaving.terminate()
    wait_until(lambda: joined(survivor) > before, bool, survivor, victim, seconds=20)
    time.sleep(storm.chance.uniform(0, 0.5))
    arena.kill(victim)
    arena.stop(leaving)
    storm.settle()


def test_zombie(storm: Storm) -> None:
    """A worker is frozen until others have its partitions; what it then does changes nothing."""
    arena = storm.arena
    have_two(storm)
    storm.publish(seconds=LOAD_SECONDS)
    storm.wait_at_work(*arena.workers)
    zombie, survivor = storm.chance.sample(arena.workers, 2)
    time.sleep(storm.chance.uniform(0, 0.5))
    known, before = assigned(zombie), assigned(survivor)
    zombie.freeze()
    # Both groups were shared out anew, and the survivor went on alone for a while.
    wait_until(lambda: assigned(survivor) >= before + 2, bool, survivor, seconds=20)
    time.sleep(storm.chance.uniform(0, 1))
    zombie.thaw()
    # What it sends late, it has sent when it is a member again.
    wait_until(lambda: assigned(zombie) >= known + 2, bool, survivor, zombie, seconds=30)
    storm.settle()
    arena.kill(storm.chance.choice((zombie, survivor)))


def test_nothing_changes_later(arena: Arena) -> None:
    """After all seeds, each one's rows are what they were when it came out exact."""
    assert arena.settled
    found = fingerprints(arena.stack)
    assert {at: found.get(at) for at in arena.settled} == arena.settled
    assert_equal_versions_are_equal(arena.stack)
