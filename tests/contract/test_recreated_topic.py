"""A topic that is deleted and created again under a running worker is another log."""

from confluent_kafka.admin import AdminClient
from load import Log
from pipeline import Stack, wait_until
from random_events import make_events

from inferwatch_clickhouse.client import ClickHouse
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.topics import REQUESTS

BEFORE = 3_000
AFTER = 2_000


def _landed(stack: Stack) -> tuple[int, int]:
    """Requests landed one by one, and requests counted into windows."""
    client = ClickHouse(stack.clickhouse)
    try:
        (raw,) = client.query("SELECT count() FROM requests")[0]
        (windowed,) = client.query("SELECT sum(requests) FROM requests_1m")[0]
    finally:
        client.close()
    return raw, windowed


def test_new_log_counts_beside_the_old_one(stack: Stack) -> None:
    """The worker says loudly which topic changed, and counts the new log from its start."""
    admin = AdminClient(stack.kafka.confluent())
    with stack.worker("alone") as worker:
        log = Log(stack.kafka)
        log.publish([e for e in make_events(1, BEFORE) if e.schema == "request"][:BEFORE])
        first = len(log.records)
        wait_until(
            lambda: _landed(stack), lambda found: found == (first, first), worker, seconds=60
        )
        old = TopicAdmin(stack.kafka).ids([REQUESTS.name])[REQUESTS.name]
        admin.delete_topics([REQUESTS.name])[REQUESTS.name].result(10)
        wait_until(
            lambda: TopicAdmin(stack.kafka).ids([REQUESTS.name]).get(REQUESTS.name),
            lambda found: found != old,
            worker,
            seconds=30,
        )
        TopicAdmin(stack.kafka).create([REQUESTS])
        again = Log(stack.kafka)
        again.publish([e for e in make_events(2, AFTER) if e.schema == "request"][:AFTER])
        total = first + len(again.records)
        wait_until(
            lambda: _landed(stack), lambda found: found == (total, total), worker, seconds=90
        )
        assert "created again" in worker.said
        assert REQUESTS.name in worker.said
        worker.stop()
