"""Which table holds which Avro record: the one list that sink, tests and tools read.

How records get in::

    table = TABLES[schema_name]
    columns = table.columns_from([field["name"] for field in container_fields])
    clickhouse.insert_avro(table.storage, columns, [container])

where the container's record is the writer's schema with ``KAFKA_COLUMNS`` appended as fields:
``kafka_topic_id`` (string or enum), ``kafka_partition`` (int), ``kafka_offset`` (long).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from inferwatch_schemas import releases

if TYPE_CHECKING:
    from collections.abc import Iterable

KAFKA_COLUMNS: Final = ("kafka_topic_id", "kafka_partition", "kafka_offset")
"""Where a stored record stood in Kafka; appended to every record's own fields."""


@dataclass(frozen=True, slots=True)
class Table:
    """Where the records of one Avro schema are kept.

    Attributes:
        schema: Name of the Avro record.
        view: What is read: every record exactly once (`storage` is what is written).
    """

    schema: str
    view: str

    @property
    def storage(self) -> str:
        """Name of the table behind the view."""
        return f"{self.view}_stored"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that an insert may fill."""
        return _columns(self.schema)

    def columns_from(self, fields: Iterable[str]) -> tuple[str, ...]:
        """Those of a record's fields that the table has a column for, in the record's order.

        A newer writer's record may have fields that this version's table does not know.
        """
        known = set(self.columns)
        return tuple(field for field in fields if field in known)


@cache
def _columns(schema: str) -> tuple[str, ...]:
    fields = releases.latest(schema).schema["fields"]
    return (*(field["name"] for field in fields), *KAFKA_COLUMNS)


TABLES: Final = {
    table.schema: table
    for table in (
        Table("request", "requests"),
        Table("resource", "resources"),
        Table("exposure", "exposures"),
        Table("conversion", "conversions"),
        Table("log", "logs"),
        Table("span", "spans"),
        Table("evaluation", "evaluations"),
        Table("device_event", "device_events"),
        Table("experiment", "experiment_definitions"),
        Table("control", "controls"),
        Table("producer_end", "producer_ends"),
        Table("alert", "alerts"),
        Table("silence", "silences"),
        Table("incident", "incidents"),
        Table("command", "commands"),
        Table("request_aggregate", "request_aggregates"),
        Table("resource_aggregate", "resource_aggregates"),
        Table("exposure_aggregate", "exposure_aggregates"),
        Table("conversion_aggregate", "conversion_aggregates"),
        Table("evaluation_aggregate", "evaluation_aggregates"),
        Table("dead_letter", "dead_letters"),
    )
}
"""By name of the Avro record."""
