"""Starts each role as Faust's command does, takes chunks of every kind the whole way, and tells.

Run as a program it prints, as JSON, what each start compiled, what only the chunks did, and what
came out: in processes of their own, because what other tests have compiled would be there already.
"""

import asyncio
import importlib
import json
import multiprocessing
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, cast

import batches
from batches import Record, batch, fetched, marker, message_set, sealed
from block_builders import NEWER, OLDER, PARTITION, TOPIC_ID, Registry, encode
from fake_emitter import FakeEmitter
from numba.core.dispatcher import Dispatcher

from inferwatch_clickhouse.sink.landing import Landing
from inferwatch_clickhouse.sink.settings import SinkSettings
from inferwatch_schemas.columnar import compiling
from inferwatch_schemas.columnar.chunk import Assignment
from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import AGGREGATED, AGGREGATES, BY_NAME, EVALUATIONS, REQUESTS, Topic
from inferwatch_streams.aggregation import Aggregation
from inferwatch_streams.rows import sender
from inferwatch_streams.rows.sender import RowSender
from inferwatch_streams.settings import AggregationSettings

CODECS: Final = (batches.NONE, batches.GZIP, batches.SNAPPY, batches.LZ4, batches.ZSTD)
# More than the tables of groups have room for at first, several times over.
MANY: Final = 150
EVENTS: Final = 200
BAD: Final = (None, b"", b"\7", b"\0\1", b"\0\0\0\0\1", b"\0\xff\xff\xff\xff", b"\0" * 300_000)


class Producer:
    """In place of ``AIOKafkaProducer``: the broker has everything at once."""

    def __init__(self, **settings: Any) -> None:
        assert settings

    async def start(self) -> None:
        """Connect."""

    async def partitions_for(self, topic: str) -> set[int]:
        """Metadata."""
        assert topic == AGGREGATES.name
        return {0, 1, 2}

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[None]:
        """Take a batch."""
        assert topic == AGGREGATES.name
        assert partition in range(3)
        assert batch._build()  # noqa: SLF001  # as aiokafka's sender does
        Out.rows += batch.record_count()
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Out:
    """What came out.

    Attributes:
        rows: Rows that were sent, or records that were inserted.
        letters: Dead letters.
    """

    rows = 0
    letters = 0


class ClickHouse:
    """In place of ``ClickHouse``: takes everything."""

    def insert_avro(self, table: str, columns: tuple[str, ...], body: list[bytes]) -> None:
        """See ``ClickHouse.insert_avro``."""
        assert table
        assert columns
        Out.rows += len(body) - 1


def values_of(topic: Topic, groups: int, chance: random.Random) -> list[bytes | None]:
    """Records of a topic: events of so many groups, of several writers, and what is none."""
    if topic not in AGGREGATED:
        return [*example_values(topic, 3), *BAD]
    (name,) = topic.schemas
    values: list[bytes | None] = list(BAD)
    for number in range(EVENTS):
        writer = chance.choice([None, NEWER, OLDER]) if topic == REQUESTS else None
        event = event_of(number % groups, chance)
        if topic == EVALUATIONS:
            event["gen_ai_request_model"] = "judged"
        value = encode(name, event, writer)
        # Some end early, some late.
        values.append(value[:-2] if number % 50 == 7 else value + b"\0" * (number % 50 == 9))
    return values


def event_of(group: int, chance: random.Random) -> dict[str, Any]:
    """An event of any of the topics: the fields that its schema has count."""
    number = chance.choice([None, chance.uniform(0, 1e6)])
    return {
        "event_time": 1_700_000_000_000_000 + chance.randrange(40_000_000),
        "service_name": f"service {group}",
        "gen_ai_request_model": chance.choice([None, "m" * 40]),
        "host_name": f'"host" {group}\n',
        "experiment": f"é {group}",
        "variant": "a",
        "metric": "purchase",
        "value": chance.choice([0.0, -1.5, 1e9]),
        "error_type": chance.choice([None, None, "timeout", f"status {chance.randrange(500)}"]),
        "duration_seconds": number,
        "time_to_first_token_seconds": number,
        "gen_ai_usage_input_tokens": chance.choice([None, 7]),
        "cost_usd_micros": chance.choice([None, 10**12]),
        "gpu_utilization_ratio": chance.choice([None, 0.5]),
        "gpu_temperature_celsius": -273.15,
        "memory_used_bytes": chance.choice([None, 10**18]),
        "gen_ai_evaluation_score_value": chance.choice([None, 0.5]),
        "passed": chance.choice([None, True]),
    }


def responses(topic: Topic, groups: int) -> Iterator[bytes]:
    """Responses, one after the other: of several batches and of any codec, and odd ones."""
    values = values_of(topic, groups, random.Random(1))  # noqa: S311  # nothing secret
    at = 0
    for codec in CODECS:
        # A response begins with a whole batch, of which some records were read before.
        at = max(0, at - 2)
        made = []
        for part in (values[:9], values[9:10], values[10:]):
            records = [Record(delta, value, b"k") for delta, value in enumerate(part)]
            made.append(batch(records, base_offset=at, codec=codec))
            at += len(part)
        yield b"".join(made)
    events = [value for value in values if value][-3:]
    for magic in (0, 1):
        yield message_set(events, magic=magic, base_offset=at)
        at += len(events)
    one = batch([Record(0, events[0])], base_offset=at)
    yield sealed(one, attributes=batches.APPEND_TIME)
    yield sealed(one, records=b"no records", base_offset=at + 1)
    yield marker(1, at + 2, commit=True)
    yield sealed(one, base_offset=at + 3)


async def take(processor: Any, groups: int) -> None:
    """Have what the transport makes of the responses processed, with a flush now and then."""
    # In place of Kafka, which is asked whose rows these are before they leave.
    processor.topic_ids = lambda names: dict.fromkeys(names, TOPIC_ID)
    for name in processor.topics:
        processor.assign({(name, PARTITION): Assignment(TOPIC_ID, 0, 0)})
        position = 0
        for number, response in enumerate(responses(BY_NAME[name], groups)):
            for chunk in fetched(response, position):
                await processor.process(replace(chunk, topic=name, partition=PARTITION))
                position = chunk.end
            if number % 2:
                await processor.flush()
        await processor.flush()
        assert processor.durable() == {(name, PARTITION): position}


async def aggregate(emitter: FakeEmitter) -> None:
    """Take chunks through the aggregation, in short blocks and in long ones."""
    sender.AIOKafkaProducer = Producer  # type: ignore[attr-defined]  # imported there
    for length, groups in ((64, 1), (64, MANY), (65_536, MANY)):
        rows = RowSender(KafkaSettings(), "test", AGGREGATES.name)
        settings = AggregationSettings(block_length=length)
        await take(Aggregation(settings, Registry(), cast("Any", emitter), rows), groups)


async def land(emitter: FakeEmitter) -> None:
    """Take chunks through the sink."""
    landing = Landing(SinkSettings(), Registry(), cast("Any", ClickHouse()), cast("Any", emitter))
    await take(landing, MANY)


ROLES: Final = {
    "aggregation": ("inferwatch_streams.app", aggregate),
    "sink": ("inferwatch_clickhouse.sink.app", land),
}


def compiled() -> set[str]:
    """Every function of ours, with each signature that it is compiled for."""
    functions = {
        id(found): found
        for name, module in list(sys.modules.items())
        if name.startswith("inferwatch")
        for found in vars(module).values()
        if isinstance(found, Dispatcher)
    }
    assert functions.keys() == {id(function) for function in compiling.FUNCTIONS}
    return {
        f"{function.py_func.__module__}.{function.py_func.__name__}{signature}"
        for function in functions.values()
        for signature in function.signatures
    }


def taken_by(role: str) -> dict[str, Any]:
    """Start a role, have it take its chunks, and tell."""
    module, way = ROLES[role]
    importlib.import_module(module)
    before = compiled()
    emitter = FakeEmitter()
    asyncio.run(way(emitter))
    return {
        "started": sorted(before),
        "new": sorted(compiled() - before),
        "rows": Out.rows,
        "letters": len(emitter.delivered),
    }


if __name__ == "__main__":
    # A child each: what one role has compiled must not serve the other.
    children = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with children.Pool(len(ROLES), maxtasksperchild=1) as pool:
        told = dict(zip(ROLES, pool.map(taken_by, ROLES, chunksize=1), strict=True))
    sys.stdout.write(json.dumps(told) + "\n")
