"""The list of tables against the schemas, and against the tables as the migrations make them."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_clickhouse.tables import KAFKA_COLUMNS, TABLES
from inferwatch_schemas import releases
from inferwatch_schemas.topics import LANDED, TOPICS

SCALARS = {
    "string": "String",
    "bytes": "String",
    "int": "Int32",
    "long": "Int64",
    "float": "Float32",
    "double": "Float64",
    "boolean": "Bool",
}
LOGICAL = {
    "timestamp-micros": "DateTime64(6, 'UTC')",
    "timestamp-millis": "DateTime64(3, 'UTC')",
    "decimal": "Decimal({precision}, {scale})",
}


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """Yield a migrated ClickHouse."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with EmbeddedClickHouse(folder / "data", folder) as server:
        settings = ClickHouseSettings(url=server.url)
        migrate(settings)
        yield ClickHouse(settings)


def _column_type(avro: Any) -> str:
    """The ClickHouse type of an Avro type, but for LowCardinality."""
    if isinstance(avro, list):
        [other] = [branch for branch in avro if branch != "null"]
        return f"Nullable({_column_type(other)})"
    if isinstance(avro, str):
        return SCALARS[avro]
    kind = avro.get("logicalType", avro["type"])
    if kind == "array":
        return f"Array({_column_type(avro['items'])})"
    if kind == "record":
        fields = (f"{field['name']} {_column_type(field['type'])}" for field in avro["fields"])
        return f"Tuple({', '.join(fields)})"
    return LOGICAL[kind].format(**avro)


def _plain(column_type: str) -> str:
    """A type as DESCRIBE gives it, on one line and without LowCardinality."""
    line = re.sub(r"\(\s+", "(", re.sub(r"\s*\n\s*", " ", column_type))
    plain = re.sub(r"LowCardinality\((Nullable\(\w+\)|\w+)\)", r"\1", line)
    return plain.replace("( ", "(").replace(" )", ")")


def test_every_schema_has_a_table() -> None:
    """A schema that the landed topics carry is stored, and nothing else is."""
    assert set(TABLES) == {schema for topic in LANDED for schema in topic.schemas}
    carried = {schema for topic in TOPICS for schema in topic.schemas}
    assert carried == set(releases.current_names())
    assert all(name == table.schema for name, table in TABLES.items())


@pytest.mark.parametrize("schema", TABLES)
def test_columns_are_the_schema_s_fields(clickhouse: ClickHouse, schema: str) -> None:
    """Name and type of every column correspond to the Avro field, in the same order."""
    table = TABLES[schema]
    described = clickhouse.query(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() "
        "AND table = {table:String} AND default_kind = '' ORDER BY position",
        {"table": table.storage},
    )
    fields = releases.latest(schema).schema["fields"]
    kafka = zip(KAFKA_COLUMNS, ("String", "Int32", "Int64"), strict=True)
    assert [(name, _plain(kind)) for name, kind in described] == [
        *((field["name"], _column_type(field["type"])) for field in fields),
        *kafka,
    ]
    assert table.columns == tuple(name for name, _ in described)


@pytest.mark.parametrize("schema", TABLES)
def test_the_view_has_every_column_that_is_written(clickhouse: ClickHouse, schema: str) -> None:
    """What is stored can be read without naming the table behind the view."""
    table = TABLES[schema]
    read = clickhouse.query(
        "SELECT name FROM system.columns WHERE database = currentDatabase() "
        "AND table = {table:String}",
        {"table": table.view},
    )
    assert set(table.columns) <= {name for (name,) in read}


def test_only_known_fields_are_inserted() -> None:
    """A newer writer's field that the table lacks is left out, and the order is the record's."""
    columns = TABLES["exposure"].columns_from(["user_id", "invented_later", "event_id"])
    assert columns == ("user_id", "event_id")
