"""What waits to be inserted: one container a writer's schema and log, with every record's place."""

import io
from typing import Any

import fastavro
import pytest
from block_builders import NEWER, OLDER, PARTITION, TOPIC_ID, chunk_of, encode, read

from inferwatch_clickhouse.sink.loads import Load, Loads
from inferwatch_schemas.columnar.chunk import Chunk
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import REQUESTS, topic_of
from inferwatch_schemas.wire import decode


def records(load: Load) -> list[dict[str, Any]]:
    """What a load's container holds, read by fastavro."""
    return [dict(record) for record in fastavro.reader(io.BytesIO(b"".join(load.body())))]  # type: ignore[arg-type]  # its records are dicts


def add(loads: Loads, name: str, chunk: Chunk, topic_id: str = TOPIC_ID) -> None:
    """Put every part of a chunk into the loads."""
    parts, _ = read(name, chunk)
    for part in parts:
        loads.add(chunk, part, topic_id)


def chunk(start: int, writers: list[int | None], name: str = "request") -> Chunk:
    """A chunk of events whose service is their offset."""
    values: list[tuple[int, bytes | None]] = [
        (start + n, encode(name, {"service_name": f"{start + n}"}, writer))
        for n, writer in enumerate(writers)
    ]
    return chunk_of(topic_of(name).name, values, start, start + len(writers))


def test_records_keep_their_fields_and_get_their_place() -> None:
    """A record in the container is the one that was written, and where it stood."""
    loads = Loads()
    value = encode("request", {"service_name": "chat", "experiments": [
        {"experiment": "e", "variant": "a"}], "duration_seconds": 0.1, "user_id": "ü"})  # fmt: skip
    add(loads, "request", chunk_of(REQUESTS.name, [(2**40, value)], 2**40, 2**40 + 1))
    (load,) = loads.take()
    (record,) = records(load)
    place = {name: record.pop(name) for name in list(record) if name.startswith("kafka_")}
    assert place == {
        "kafka_topic_id": TOPIC_ID, "kafka_partition": PARTITION, "kafka_offset": 2**40
    }  # fmt: skip
    assert record == decode(value, PinnedRegistry())


def test_chunks_of_one_writer_share_a_container() -> None:
    """Chunk after chunk goes into one insert, in order, and messages can say which."""
    loads = Loads()
    add(loads, "request", chunk(0, [None] * 3))
    add(loads, "request", chunk(3, [None] * 2))
    (load,) = loads.take()
    assert [record["kafka_offset"] for record in records(load)] == [0, 1, 2, 3, 4]
    assert [record["service_name"] for record in records(load)] == ["0", "1", "2", "3", "4"]
    assert load.rows == 5
    assert load.where() == "inferwatch.requests/3 offsets 0 to 4"


def test_each_writers_schema_has_a_container_of_its_own() -> None:
    """Records of several writers in one chunk are sorted out, and none is lost."""
    loads = Loads()
    add(loads, "request", chunk(0, [None, NEWER, OLDER, None]))
    found = {
        tuple(record["kafka_offset"] for record in records(load)): load for load in loads.take()
    }
    assert set(found) == {(0, 3), (1,), (2,)}
    assert "region" in records(found[1,])[0]
    assert "region" not in found[1,].columns
    assert "cost_usd_micros" in found[0, 3].columns
    assert "cost_usd_micros" not in found[2,].columns
    assert {load.table.storage for load in found.values()} == {"requests_stored"}


def test_a_log_begun_anew_has_a_container_of_its_own() -> None:
    """A topic that was deleted and created again is another log with offsets of its own."""
    loads = Loads()
    add(loads, "request", chunk(0, [None]), "log_1")
    add(loads, "request", chunk(0, [None]), "log_2")
    assert [records(load)[0]["kafka_topic_id"] for load in loads.take()] == ["log_1", "log_2"]


def test_size_is_what_waits() -> None:
    """It grows with what comes, by about the records' bytes, and is none when all is taken."""
    loads = Loads()
    add(loads, "request", chunk(0, [None] * 100))
    one = loads.size
    add(loads, "request", chunk(100, [None] * 100))
    assert loads.size == pytest.approx(2 * one, rel=0.05)
    waiting = loads.size
    (load,) = loads.take()
    assert sum(map(len, load.body())) == len(load.header) + waiting
    assert (loads.size, loads.take()) == (0, [])


def test_tables_do_not_mix() -> None:
    """Events of another topic go to their own table."""
    loads = Loads()
    add(loads, "request", chunk(0, [None]))
    add(loads, "conversion", chunk(0, [None], "conversion"))
    assert [load.table.storage for load in loads.take()] == [
        "requests_stored", "conversions_stored",
    ]  # fmt: skip
