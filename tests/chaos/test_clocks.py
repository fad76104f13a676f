"""Producers whose clocks are wrong: their events are taken, kept, and counted in their own windows.

Kafka itself looks at the times that producers set: it refuses what lies too far ahead and removes
what lies too far behind, unless a topic has times of the broker's own.
"""

import time

import pytest
from load import MICROS, START_MICROS, Event
from storm import Storm

pytestmark = pytest.mark.chaos

DAY_SECONDS = 24 * 60 * 60
# How far ahead each producer's clock is.
CLOCKS = {"right": 0, "a day ahead": DAY_SECONDS, "a year behind": -365 * DAY_SECONDS}
REQUESTS = 1_500
# The broker looks for what it may remove every second.
RETENTION_SECONDS = 2.5


def by_clock(events: list[Event], ahead_seconds: int) -> list[Event]:
    """The events as of now, by a clock that is so far ahead."""
    ahead = round((time.time() + ahead_seconds) * MICROS) - START_MICROS
    return [
        Event(event.schema, {**event.fields, "event_time": event.fields["event_time"] + ahead})
        for event in events
    ]


def test_clocks(storm: Storm) -> None:
    """One producer after the other or all at once, with workers there or yet to come."""
    names = list(CLOCKS)
    storm.chance.shuffle(names)
    storm.publish(seconds=0.5)
    late = storm.chance.random() < 0.5
    if late:
        storm.arena.clear()
    else:
        storm.ensure_worker()
    together = storm.chance.random() < 0.5
    for name in names:
        log = storm.open_log()
        log.ahead_seconds = CLOCKS[name]
        publishing = storm.publish(log, by_clock(storm.events(REQUESTS), CLOCKS[name]), seconds=1)
        if not together:
            publishing.finish()
    if late:
        storm.finish_publishing()
        time.sleep(RETENTION_SECONDS)
    storm.ensure_worker()
    storm.settle()
