"""The worker's own producer loses requests, answers and connections: its rows stay exact.

Whether its aggregate rows and dead letters were stored it then cannot know.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from arena import Arena
from garbage import GARBAGE
from kafka_proxy import KafkaProxy, Loss
from pipeline import Worker, wait_until
from poison import Poison
from storm import Storm

from inferwatch.embedded.processes import LOOPBACK
from inferwatch_schemas.emitter import DELIVERY_TIMEOUT_MS
from inferwatch_schemas.kafka import KafkaSettings

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

LOAD_SECONDS = 3.0
# One seed in so many loses for longer than a delivery may take.
LONG_EVERY = 5
LONG_SECONDS = DELIVERY_TIMEOUT_MS / 1000 + 3


@pytest.fixture(scope="module")
def proxy(arena: Arena) -> Iterator[KafkaProxy]:
    """Yield the worker's way to the broker."""
    port = int(arena.stack.kafka.bootstrap_servers.rpartition(":")[2])
    with KafkaProxy(port) as listening:
        yield listening


@pytest.fixture
def worker(arena: Arena, proxy: KafkaProxy) -> Worker:
    """A worker behind the proxy, kept over the seeds."""
    proxy.heal()
    behind = replace(arena.stack, kafka=KafkaSettings(f"{LOOPBACK}:{proxy.port}"))
    return arena.workers[0] if arena.workers else arena.start_worker(stack=behind)


def test_lost(storm: Storm, proxy: KafkaProxy, worker: Worker, seed: int) -> None:
    """Each kind of loss at a random moment of the load, with dead letters among what is lost."""
    kinds = [loss for loss in Loss if loss is not Loss.NOTHING]
    storm.chance.shuffle(kinds)
    poison = Poison(storm)
    storm.publish(seconds=0.5)
    storm.wait_at_work(worker)
    storm.publish(seconds=LOAD_SECONDS)
    for number, _ in enumerate(storm.moments(len(kinds), LOAD_SECONDS)):
        lost, proxy.loss = proxy.losses, kinds[number]
        poison.publish([bad for bad in GARBAGE.values() if storm.chance.random() < 0.5])
        wait_until(lambda lost=lost: proxy.losses - lost, bool, worker, seconds=30)
        long = number == 0 and seed % LONG_EVERY == LONG_EVERY - 1
        time.sleep(LONG_SECONDS if long else storm.chance.uniform(0, 1))
        proxy.heal()
    storm.settle()
