"""ClickHouse refuses, hangs, dies, and stores without answering, under load; every row is exact."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from arena import Arena
from pipeline import Worker, wait_until
from proxy import Mode, Proxy
from storm import Storm

from inferwatch.embedded.processes import LOOPBACK

pytestmark = pytest.mark.chaos

KILL = "kill"
OUTAGES = (Mode.REFUSE, Mode.HANG, Mode.CUT, KILL)
LOAD_SECONDS = 5.0
# Published within each outage, so that there is something to insert.
REQUESTS = 300


@pytest.fixture(scope="module")
def proxy(arena: Arena) -> Iterator[Proxy]:
    """Yield the worker's way to ClickHouse."""
    with Proxy(arena.server.port) as listening:
        yield listening


@pytest.fixture
def worker(arena: Arena, proxy: Proxy) -> Worker:
    """A worker behind the proxy, kept over the seeds, whose ClickHouse is there."""
    proxy.mode = Mode.FORWARD
    if not arena.server.alive:
        arena.server.restart()
    clickhouse = replace(arena.stack.clickhouse, url=f"http://{LOOPBACK}:{proxy.port}")
    behind = replace(arena.stack, clickhouse=clickhouse)
    return arena.workers[0] if arena.workers else arena.start_worker(stack=behind)


def test_outages(storm: Storm, proxy: Proxy, worker: Worker) -> None:
    """Each kind of outage once, in any order, at random moments, until it was felt."""
    outages = list(OUTAGES)
    storm.chance.shuffle(outages)
    storm.publish(seconds=0.5)
    storm.wait_at_work(worker)
    storm.publish(seconds=LOAD_SECONDS)
    for number, _ in enumerate(storm.moments(len(outages), LOAD_SECONDS)):
        _suffer(outages[number], storm, proxy, worker)
    storm.settle()


def _suffer(outage: Mode | str, storm: Storm, proxy: Proxy, worker: Worker) -> None:
    """Let ClickHouse be away until an insert met it, and a moment longer."""
    server = storm.arena.server
    felt = proxy.refused + proxy.hung + proxy.cut
    if isinstance(outage, Mode):
        proxy.mode = outage
    else:
        server.kill()
    storm.publish(events=storm.events(REQUESTS), seconds=0.3)
    wait_until(lambda: proxy.refused + proxy.hung + proxy.cut - felt, bool, worker, seconds=30)
    time.sleep(storm.chance.uniform(0, 0.5))
    if not server.alive:
        server.restart()
    proxy.mode = Mode.FORWARD
