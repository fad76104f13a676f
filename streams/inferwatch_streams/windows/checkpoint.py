"""From where a partition of the aggregates has to be read again, beside the totals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from inferwatch_schemas.instants import micros, moment
from inferwatch_streams.windows.frontier import Frontier

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA: Final = "checkpoint"
#: ``seen_at`` of the first block whose rows are not folded.
LIMIT: Final = -1
_MILLI: Final = 1000

#: Source partition by signal, topic id and number.
Source = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of one partition of the aggregates.

    Attributes:
        aggregates_topic_id: Kafka's id of ``inferwatch.aggregates``.
        aggregates_partition: Its partition.
        epoch: The claim of the leader that wrote it.
        read_through: Offset after the last record taken in.
        read_from: Offset to read from after the totals were loaded.
        as_of_ms: The broker's time of the last record taken in.
        evaluated_until: Event time of the last evaluation, in microseconds; None before the first.
        frontiers: Blocks of each source partition.
    """

    aggregates_topic_id: str
    aggregates_partition: int
    epoch: int
    read_through: int
    read_from: int
    as_of_ms: int
    evaluated_until: int | None
    frontiers: Mapping[Source, Frontier]

    @property
    def key(self) -> bytes:
        """Key of its record."""
        parts = [self.aggregates_topic_id, self.aggregates_partition, SCHEMA, self.epoch]
        return json.dumps(parts, separators=(",", ":")).encode()

    def to_record(self) -> dict[str, Any]:
        """As the schema has it."""
        blocks = []
        for (signal, topic_id, partition), frontier in sorted(self.frontiers.items()):
            source = {"signal": signal, "topic_id": topic_id, "partition": partition}
            for block, seen_at in [(frontier.limit, LIMIT), *frontier.seen]:
                blocks.append({**source, "block": block, "seen_at": seen_at})
        until = self.evaluated_until
        return {
            **{name: getattr(self, name) for name in _SAME},
            "as_of": moment(self.as_of_ms * _MILLI),
            "evaluated_until": None if until is None else moment(until),
            "blocks": blocks,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The checkpoint in a decoded record."""
        frontiers: dict[Source, Frontier] = {}
        for each in record["blocks"]:
            source = (each["signal"], each["topic_id"], each["partition"])
            if each["seen_at"] == LIMIT:
                frontiers[source] = Frontier(each["block"])
            else:
                frontiers.setdefault(source, Frontier()).seen.append(
                    (each["block"], each["seen_at"])
                )
        until = record["evaluated_until"]
        return cls(
            **{name: record[name] for name in _SAME},
            as_of_ms=micros(record["as_of"]) // _MILLI,
            evaluated_until=None if until is None else micros(until),
            frontiers=frontiers,
        )


_SAME: Final = (
    "aggregates_topic_id", "aggregates_partition", "epoch", "read_through", "read_from",
)  # fmt: skip
