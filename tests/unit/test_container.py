"""Containers hold what chunks held, in the order they did, with where each record stood."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import avro_strategies as avro
import chunks
import numpy as np
from fastavro import reader as fastavro_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_schemas.columnar import container

# Kafka's own ids may begin with a digit or a hyphen, which ClickHouse takes and fastavro does not.
TOPIC_ID = "Kd8Rw_1Zt0a"


def read(body: bytes) -> list[dict[str, Any]]:
    """Return a container's records by fastavro."""
    return [record for record in fastavro_reader(io.BytesIO(body)) if isinstance(record, dict)]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_records(data: st.DataObject) -> None:
    """Blocks of several chunks make one container, which fastavro reads as what was written."""
    schema = data.draw(avro.schemas())
    header, sync = container.header(schema, TOPIC_ID)
    blocks, expected = [], []
    for _ in range(data.draw(st.integers(0, 3))):
        records = data.draw(st.lists(avro.records(schema) | st.none(), min_size=1, max_size=4))
        partition = data.draw(st.integers(0, 2**31 - 1))
        offsets = sorted(data.draw(st.sets(st.integers(0, 2**63 - 1), min_size=len(records),
                                           max_size=len(records))))  # fmt: skip
        # A record that is none stands for a bad one among its neighbours.
        values = [
            b"\1bad" if record is None else chunks.framed(avro.body(schema, record, data.draw))
            for record in records
        ]
        chunk = replace(chunks.chunk(values, partition=partition), offsets=np.array(offsets))
        parts, bad = chunks.reader(schema, {chunks.SCHEMA_ID: schema}, []).read(chunk)
        assert len(bad) == records.count(None)
        blocks += [container.block(chunk, part, sync) for part in parts]
        expected += [
            {**record, container.TOPIC_ID: TOPIC_ID, container.PARTITION: partition,
             container.OFFSET: offset}
            for record, offset in zip(records, offsets, strict=True)
            if record is not None
        ]  # fmt: skip
    assert read(b"".join((header, *blocks))) == expected


def test_a_header_of_the_same_is_the_same() -> None:
    """Blocks made under one header fit every header of the same schema and topic, and no other."""
    schema: dict[str, Any] = {"type": "record", "name": "event", "fields": []}
    assert container.header(schema, TOPIC_ID) == container.header(schema, TOPIC_ID)
    assert container.header(schema, TOPIC_ID)[1] != container.header(schema, "Another")[1]


def test_large_bodies() -> None:
    """Records of many kilobytes are copied whole."""
    schema = {"type": "record", "name": "event", "fields": [{"name": "raw", "type": "bytes"}]}
    records = [{"raw": bytes(range(256)) * size} for size in (0, 1, 100, 999)]
    chunk = chunks.chunk([chunks.framed(avro.body(schema, record)) for record in records])
    reader = chunks.reader(schema, {chunks.SCHEMA_ID: schema}, [], max_value_bytes=1 << 20)
    (part,), _ = reader.read(chunk)
    header, sync = container.header(schema, TOPIC_ID)
    found = read(b"".join((header, container.block(chunk, part, sync))))
    assert [record["raw"] for record in found] == [record["raw"] for record in records]
