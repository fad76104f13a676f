"""Workers die, join, leave and come back from the dead; every row comes out exact."""

import pytest
from storm import Storm

pytestmark = pytest.mark.chaos


def test_killed(storm: Storm) -> None:
    """Workers are killed with SIGKILL at random moments, and new ones started in their place."""
    arena = storm.arena
    while len(arena.workers) < 2:
        storm.start_worker()
    storm.publish(seconds=4)
    for _ in storm.moments(storm.chance.randint(1, 3), 4):
        arena.kill(storm.chance.choice(arena.workers))
        storm.start_worker()
    storm.settle()
