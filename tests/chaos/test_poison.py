"""Bad records in every place of a chunk: each is buried, and its neighbours count."""

import random
from collections.abc import Callable

import pytest
from garbage import GARBAGE, Bad
from load import Event
from poison import Poison
from storm import Storm

from inferwatch_schemas.topics import AGGREGATES

pytestmark = pytest.mark.chaos

Chosen = Callable[[int, random.Random], set[int]]


def _runs(size: int, chance: random.Random) -> set[int]:
    """A few runs of bad records, of any length."""
    bad: set[int] = set()
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(size)
        bad |= set(range(start, min(size, start + chance.randint(2, 10))))
    return bad


# Which records of a batch of so many are bad.
PLACES: dict[str, Chosen] = {
    "first": lambda _size, _chance: {0},
    "last": lambda size, _chance: {size - 1},
    "middle": lambda size, chance: {chance.randrange(1, size - 1)},
    "both ends": lambda size, _chance: {0, size - 1},
    "every other": lambda size, chance: set(range(chance.randrange(2), size, 2)),
    "runs": _runs,
    "anywhere": lambda size, chance: set(chance.sample(range(size), chance.randint(1, size))),
    "all": lambda size, _chance: set(range(size)),
}
# What is bad in the topic of aggregates too, which the sink alone reads.
FOR_THE_SINK = ("cut within its prefix", "unknown schema id", "another schema", "JSON", "tombstone")


def poisoned(storm: Storm, places: Chosen, good: list[Event]) -> list[Event | Bad]:
    """A batch of good events, some of them replaced by garbage."""
    size = storm.chance.choice((3, 20, 200))
    bad = places(size, storm.chance)
    kinds = list(GARBAGE.values())
    return [storm.chance.choice(kinds) if number in bad else good.pop() for number in range(size)]


def test_poison(storm: Storm) -> None:
    """Under load, and half of the time while the worker that reads them is killed."""
    storm.publish(seconds=3)
    storm.ensure_worker()
    poison = Poison(storm)
    good = [event for event in storm.events(2_000) if event.schema == "request"]
    names = list(PLACES)
    storm.chance.shuffle(names)
    for name in names:
        poison.publish(poisoned(storm, PLACES[name], good))
    Poison(storm, AGGREGATES, "inferwatch-sink").publish([GARBAGE[name] for name in FOR_THE_SINK])
    if storm.chance.random() < 0.5:
        storm.arena.kill(storm.arena.workers[0])
        storm.start_worker()
    storm.settle()
