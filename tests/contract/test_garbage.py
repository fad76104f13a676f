"""What is no event is buried with its place and reason, and costs none of its neighbours."""

import io
import json
from typing import Any

import fastavro
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from garbage import GARBAGE, GOOD
from load import SCHEMAS, Event, Log, Record, encode
from pipeline import BLOCK_LENGTH, Stack, wait_until
from tables import assert_aggregates, assert_raw_rows

from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import DEAD_LETTERS, REQUESTS

PARTITION = 1
NEIGHBOURS = 12


class Batch:
    """Good and bad values in turn, in one record batch.

    Attributes:
        bad: Offset of each piece of garbage.
    """

    def __init__(self, stack: Stack, log: Log) -> None:
        self.bad: dict[str, int] = {}
        self._log = log
        self._largest = 0
        self._producer = Producer(
            {
                **stack.kafka.confluent(),
                "linger.ms": 1000,
                "compression.type": "zstd",
                "statistics.interval.ms": 50,
                "stats_cb": self._take_statistics,
            },
            logger=SILENT,
        )
        good = iter(GOOD)
        count = 0
        for name, bad in GARBAGE.items():
            for _ in range(NEIGHBOURS):
                event = next(good)
                self._send(encode(event), event)
            self._send(bad.value, name)
            count += NEIGHBOURS + 1
        assert self._producer.flush(20) == 0
        wait_until(lambda: self._producer.poll(0.1) or self._largest, bool, seconds=5)
        assert self._largest == count, "not one record batch"

    def _take_statistics(self, text: str) -> None:
        topics = json.loads(text)["topics"]
        if REQUESTS.name in topics:
            self._largest = max(self._largest, topics[REQUESTS.name]["batchcnt"]["max"])

    def _send(self, value: bytes | None, what: Event | str) -> None:
        def acknowledged(error: Any, message: Any) -> None:
            assert error is None, error
            if isinstance(what, str):
                self.bad[what] = message.offset()
            else:
                place = (message.topic(), message.partition(), message.offset())
                self._log.records.append(Record(what.schema, what.fields, *place))

        self._producer.produce(
            REQUESTS.name, value, key=b"key", partition=PARTITION,
            headers={"ce_id": b"e"}, on_delivery=acknowledged,
        )  # fmt: skip


@pytest.fixture(scope="module")
def log(stack: Stack) -> Log:
    """The good events."""
    return Log(stack.kafka)


@pytest.fixture(scope="module")
def batch(stack: Stack, log: Log) -> Batch:
    """The batch, read and landed by a worker that then stopped."""
    sent = Batch(stack, log)
    with stack.worker("worker") as worker:
        wait_until(
            lambda: (
                stack.one("SELECT sum(requests) FROM request_aggregates"),
                stack.one("SELECT count() FROM requests"),
                stack.one("SELECT count() FROM dead_letters"),
            ),
            lambda found: found == (len(log.records), len(log.records), len(GARBAGE)),
            worker,
            seconds=60,
        )
        worker.stop()
    return sent


def test_good_neighbours_count_and_land(stack: Stack, log: Log, batch: Batch) -> None:
    """Every good record of the batch is counted and stored, exactly."""
    assert len(log.records) == NEIGHBOURS * len(batch.bad)
    assert_raw_rows(stack, log)
    assert_aggregates(stack, log, BLOCK_LENGTH)


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_in_the_table(stack: Stack, batch: Batch, name: str) -> None:
    """The table of dead letters says where each bad record stood, why, and what it was."""
    bad = GARBAGE[name]
    ((topic, topic_id, partition, reason, detail, schema_id, key, value, reader),) = stack.query(
        "SELECT source_topic, topic_id, partition, reason, detail, schema_id, key, hex(value), "
        "reader FROM dead_letters WHERE offset = {offset:Int64}",
        offset=batch.bad[name],
    )
    assert (topic, topic_id) == (REQUESTS.name, stack.topic_ids()[REQUESTS.name])
    assert partition == PARTITION
    assert reason == bad.reason
    assert detail
    assert schema_id == bad.schema_id
    assert key == "key"
    assert value == (None if bad.value is None else bad.value.hex().upper())
    assert reader == "inferwatch-aggregation"


def test_garbage_is_in_the_topic(stack: Stack, batch: Batch) -> None:
    """The topic of dead letters holds the same, byte for byte."""
    consumer = Consumer({**stack.kafka.confluent(), "group.id": "reader"}, logger=SILENT)
    consumer.assign([TopicPartition(DEAD_LETTERS.name, 0, 0)])
    letters = {}
    for message in consumer.consume(len(GARBAGE), timeout=20):
        content = message.value()
        assert isinstance(content, bytes)
        letter: Any = fastavro.schemaless_reader(
            io.BytesIO(content[5:]), SCHEMAS["dead_letter"], None
        )
        letters[letter["offset"]] = letter
    consumer.close()
    assert sorted(letters) == sorted(batch.bad.values())
    for name, offset in batch.bad.items():
        letter = letters[offset]
        assert letter["reason"] == GARBAGE[name].reason
        assert (letter["source_topic"], letter["partition"]) == (REQUESTS.name, PARTITION)
        assert (letter["key"], letter["value"]) == (b"key", GARBAGE[name].value)
        assert letter["headers"] == [{"key": "ce_id", "value": b"e"}]
