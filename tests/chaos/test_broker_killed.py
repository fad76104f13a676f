"""Apache Kafka is killed with SIGKILL under load, and started again on what it has on disk."""

import pytest
from read_back import ReadBack
from storm import Storm

from inferwatch.embedded.kafka import ApacheKafka

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

# The embedded broker keeps nothing.
BROKERS = ("kafka",)
LOAD_SECONDS = 4.0


def test_killed(storm: Storm) -> None:
    """It dies once or twice; whatever the log then holds is counted, repetitions included."""
    broker = storm.arena.broker
    assert isinstance(broker, ApacheKafka)
    before = ReadBack(storm.arena.stack.kafka)
    log = storm.open_log(60, enable_idempotence=storm.chance.choice((True, False)))
    storm.publish(log, seconds=LOAD_SECONDS)
    storm.ensure_worker()
    for _ in storm.moments(storm.chance.randint(1, 2), LOAD_SECONDS):
        broker.kill()
        broker.restart()
    storm.finish_publishing()
    acknowledged = {(record.topic, record.partition, record.offset) for record in log.records}
    log.records[:] = before.records()
    found = {(record.topic, record.partition, record.offset) for record in log.records}
    assert acknowledged <= found, "the broker lost what it had acknowledged"
    storm.settle()
