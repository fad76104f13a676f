"""Records as the sink stores them: an Avro container with each record's place in Kafka."""

import io
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import fastavro

from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.tables import TABLES
from inferwatch_schemas import releases

_KAFKA_FIELDS = (
    {"name": "kafka_topic_id", "type": "string"},
    {"name": "kafka_partition", "type": "int"},
    {"name": "kafka_offset", "type": "long"},
)
_ZEROS = {"string": "", "int": 0, "long": 0, "double": 0.0, "bytes": b"", "boolean": False}


def _zero(avro: Any) -> Any:
    if isinstance(avro, list):
        return None
    if isinstance(avro, str):
        return _ZEROS[avro]
    if avro["type"] == "array":
        return []
    return Decimal(0) if avro.get("logicalType") == "decimal" else _ZEROS[avro["type"]]


def container(
    schema: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    more_fields: Iterable[Mapping[str, Any]] = (),
    without: Iterable[str] = (),
) -> tuple[list[str], bytes]:
    """Field names and body; a field that a row does not give is null, zero or empty."""
    release = releases.latest(schema).schema
    own = [field for field in release["fields"] if field["name"] not in set(without)]
    fields = [*own, *more_fields, *_KAFKA_FIELDS]
    zeros = {field["name"]: _zero(field["type"]) for field in fields}
    body = io.BytesIO()
    fastavro.writer(
        body,
        {"type": "record", "name": f"stored_{schema}", "fields": fields},
        [{**zeros, **row} for row in rows],
    )
    return list(zeros), body.getvalue()


def store(
    clickhouse: ClickHouse, schema: str, rows: Iterable[Mapping[str, Any]], **more: Any
) -> None:
    """Insert rows as the sink does."""
    fields, body = container(schema, rows, **more)
    table = TABLES[schema]
    clickhouse.insert_avro(table.storage, table.columns_from(fields), [body])
