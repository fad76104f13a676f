"""Every row that a seed left in ClickHouse, or in the topic of aggregates, against the oracle's."""

import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import fastavro
import oracle
from arena import BLOCK_LENGTH
from confluent_kafka import Consumer, TopicPartition
from load import SCHEMA_IDS, SCHEMAS, Log, Record
from pipeline import Stack
from tables import RESOURCE_METRICS, TOLD, VIEWS, plain
from verdict import DiffersError, Row, Table

from inferwatch_clickhouse.errors import ClickHouseUnavailableError
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.topics import AGGREGATES, BY_NAME, Topic, topic_of

Logs = Sequence[tuple[Log, Mapping[str, str]]]

SIGNALS = {
    "request": oracle.REQUESTS,
    "resource": oracle.RESOURCES,
    "exposure": oracle.EXPOSURES,
    "conversion": oracle.CONVERSIONS,
    "evaluation": oracle.EVALUATIONS,
}
MEASURES = {
    "request": "requests",
    "resource": "samples",
    "exposure": "exposures",
    "conversion": "conversions",
    "evaluation": "evaluations",
}
# The dimension that ends in a seed's tag.
DIMENSIONS = {
    "request": "service",
    "resource": "host",
    "exposure": "experiment",
    "conversion": "experiment",
    "evaluation": "service",
}
BLOCK = ("window_start", "topic_id", "partition", "block")
PLACE = ("kafka_topic_id", "kafka_partition", "kafka_offset")
FOUND_AT = ("source_topic", "topic_id", "partition", "offset", "reader")
DEAD_LETTERS = (*FOUND_AT, "reason", "schema_id", "key", "value")
READ_SECONDS = 60.0
# How storms tag their events, as a regular expression.
TAGS = "-test_[a-z_]+-[0-9]+$"


def aggregate_table(schema: str) -> Table:
    """The table of a signal's rows."""
    signal = SIGNALS[schema]
    return Table(signal.table, (*signal.dimensions, *BLOCK), MEASURES[schema])


def counted(stack: Stack, tag: str) -> tuple[int, ...] | None:
    """Raw rows and aggregated events of a tag by source, and all dead letters; None while away."""
    raw = [f"(SELECT count() FROM {view} WHERE producer_id = '{tag}')" for view in VIEWS.values()]  # noqa: S608 -- names of these files
    sums = [
        f"(SELECT sum({MEASURES[schema]}) FROM {signal.table} "  # noqa: S608 -- as above
        f"WHERE endsWith({DIMENSIONS[schema]}, '{tag}'))"
        for schema, signal in SIGNALS.items()
    ]
    letters = "(SELECT count() FROM dead_letters)"
    try:
        (found,) = stack.query(f"SELECT {', '.join([*raw, *sums, letters])}")
    except ClickHouseUnavailableError:
        return None
    return found


def expected_counts(logs: Logs, dead_letters: int) -> tuple[int, ...]:
    """What ``counted`` must come to."""
    raw = [sum(len(log.of(schema)) for log, _ in logs) for schema in VIEWS]
    sums = [sum(len(_measured(log, schema)) for log, _ in logs) for schema in SIGNALS]
    return (*raw, *sums, dead_letters)


def compare(stack: Stack, logs: Logs, tag: str, dead_letters: Iterable[Row]) -> None:
    """Compare every aggregate row and raw row of a tag, and all dead letters.

    Raises:
        DiffersError: One differs from the oracle's.
    """
    differences = []
    for schema in SIGNALS:
        expected = expected_aggregates(logs, schema)
        found = _stored_aggregates(stack, schema, tag, list(expected[0]))
        differences += aggregate_table(schema).differences(found, expected)
    for schema, view in VIEWS.items():
        found = _stored_events(stack, schema, view, tag)
        differences += Table(view, PLACE).differences(found, _expected_events(logs, schema))
    found = _stored(
        stack,
        "dead_letters",
        {**dict.fromkeys(DEAD_LETTERS, ""), "key": "hex(key)", "value": "hex(value)"},
    )
    differences += Table("dead_letters", FOUND_AT).differences(found, dead_letters)
    if differences:
        raise DiffersError(differences)


def compare_emitted(
    stack: Stack, logs: Logs, tag: str, resolve: Callable[[Iterable[Row]], Iterable[Row]]
) -> None:
    """Compare what was ever published to the topic of aggregates, resolved in some way.

    Raises:
        DiffersError: A row differs from the oracle's.
    """
    emitted = _emitted(stack)
    differences = []
    for schema, dimension in DIMENSIONS.items():
        table = aggregate_table(schema)
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in emitted[f"{schema}_aggregate"]:
            if row[dimension].endswith(tag):
                groups.setdefault(tuple(row[name] for name in table.identity), []).append(row)
        found = [row for rows in groups.values() for row in resolve(rows)]
        differences += table.differences(found, expected_aggregates(logs, schema))
    if differences:
        raise DiffersError(differences)


def expected_aggregates(logs: Logs, schema: str) -> list[Row]:
    """The oracle's rows of a signal; several logs may have written to the same blocks."""
    topic = topic_of(schema).name
    records: dict[str, list[Record]] = {}
    for log, ids in logs:
        records.setdefault(ids[topic], []).extend(_measured(log, schema))
    return [
        row
        for topic_id, measured in records.items()
        for row in oracle.block_rows(SIGNALS[schema], measured, {topic: topic_id}, BLOCK_LENGTH)
    ]


def _measured(log: Log, schema: str) -> list[Record]:
    records = log.of(schema)
    return oracle.by_metric(records, RESOURCE_METRICS) if schema == "resource" else records


def _expected_events(logs: Logs, schema: str) -> list[Row]:
    fields = [field["name"] for field in SCHEMAS[schema]["fields"]]
    return [
        {
            "kafka_topic_id": ids[record.topic],
            "kafka_partition": record.partition,
            "kafka_offset": record.offset,
            **{field: plain(record.fields.get(field)) for field in fields},
        }
        for log, ids in logs
        for record in log.of(schema)
    ]


def _stored(stack: Stack, table: str, columns: Mapping[str, str], where: str = "1") -> list[Row]:
    selected = ", ".join(expression or name for name, expression in columns.items())
    found = stack.query(f"SELECT {selected} FROM {table} WHERE {where}")  # noqa: S608 -- names of these files
    return [dict(zip(columns, row, strict=True)) for row in found]


def _stored_aggregates(stack: Stack, schema: str, tag: str, columns: list[str]) -> list[Row]:
    selected = dict.fromkeys(columns, "") | {"window_start": "toUnixTimestamp64Milli(window_start)"}
    where = f"endsWith({DIMENSIONS[schema]}, '{tag}')"
    return _stored(stack, SIGNALS[schema].table, selected, where)


def _stored_events(stack: Stack, schema: str, view: str, tag: str) -> list[Row]:
    fields = [field["name"] for field in SCHEMAS[schema]["fields"]]
    selected = {name: TOLD.get(name, "") for name in (*PLACE, *fields)}
    return _stored(stack, view, selected, f"producer_id = '{tag}'")


def fingerprints(stack: Stack, tag: str = "") -> dict[tuple[str, str], tuple[int, int]]:
    """Count and hash of the resolved rows of a tag, or of each, by table and tag."""
    columns = {SIGNALS[schema].table: DIMENSIONS[schema] for schema in SIGNALS}
    columns |= dict.fromkeys(VIEWS.values(), "producer_id")
    found = {}
    for table, column in columns.items():
        # Where a row of aggregates came to lie, and when, may differ; what it says may not.
        left_out = ", ".join((*PLACE, "inserted_at"))
        for name, count, digest in stack.query(
            f"SELECT extract({column}, '{TAGS}') AS tag, count(), "  # noqa: S608 -- names of this file
            f"sum(cityHash64(formatRow('JSONEachRow', * EXCEPT ({left_out})))) "
            f"FROM {table} WHERE endsWith({column}, '{tag}') GROUP BY tag"
        ):
            found[table, name] = (count, digest)
    return found


def assert_equal_versions_are_equal(stack: Stack) -> None:
    """Rows ever published of one identity, version and first offset are the same bytes.

    An event's id names all of these: no two rows of a block end in the same record.
    """
    told: dict[bytes, bytes] = {}
    for message in _messages(stack, AGGREGATES):
        ((_, event_id),) = (header for header in message.headers() if header[0] == "ce_id")
        assert told.setdefault(event_id, message.value()) == message.value(), event_id
    assert told


def end_offsets(stack: Stack, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Offset after the last record of each partition that has any, found by reading to it."""
    ends = {}
    for name in topics:
        for message in _messages(stack, BY_NAME[name]):
            at = (name, message.partition())
            ends[at] = max(message.offset() + 1, ends.get(at, 0))
    return ends


def _emitted(stack: Stack) -> dict[str, list[Row]]:
    """All rows in the topic of aggregates by schema, in the order of arrival."""
    rows: dict[str, list[Row]] = {name: [] for name in AGGREGATES.schemas}
    names = {SCHEMA_IDS[name]: name for name in AGGREGATES.schemas}
    for message in _messages(stack, AGGREGATES):
        value = message.value()
        name = names[int.from_bytes(value[1:5], "big")]
        fields: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), SCHEMAS[name], None)
        rows[name].append({column: _told(field) for column, field in fields.items()})
    return rows


def _messages(stack: Stack, topic: Topic) -> Iterator[Any]:
    # Partition ends are signalled, because the embedded broker tells the log's end wrongly.
    settings = {"group.id": "oracle", "enable.partition.eof": True, "enable.auto.commit": False}
    consumer = Consumer({**stack.kafka.confluent(), **settings}, logger=SILENT)
    consumer.assign([TopicPartition(topic.name, n, 0) for n in range(topic.partitions)])
    ended: set[int] = set()
    deadline = time.monotonic() + READ_SECONDS
    while len(ended) < topic.partitions:
        assert time.monotonic() < deadline, f"{topic.name} could not be read to its end"
        # It waits out its time for as many as it was asked for.
        for message in consumer.consume(1_000, timeout=0.2):
            if message.error() is None:
                yield message
            else:
                ended.add(message.partition())
    consumer.close()


def _told(value: Any) -> Any:
    return round(value.timestamp() * 1000) if isinstance(value, datetime) else value
