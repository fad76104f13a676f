"""Windows made of all that ``inferwatch.totals`` has."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferwatch_schemas.topics import TOTALS
from inferwatch_streams.errors import TakeOverError
from inferwatch_streams.leading.partition_log import POLL_SECONDS, PartitionLog
from inferwatch_streams.windows.journal import Journal
from inferwatch_streams.windows.store import WindowStore

if TYPE_CHECKING:
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.windows.journal import Start


@dataclass(frozen=True, slots=True, eq=False)
class LoadedWindows:
    """What the totals said at a time.

    Attributes:
        windows: What rules read.
        journal: Of the windows; nobody has told it yet who leads.
        start: Where to go on.
        records: Keys that the topic had.
        end: Offset after the last record that was read.
    """

    windows: WindowStore
    journal: Journal
    start: Start
    records: int
    end: int


def load_windows(
    kafka: KafkaSettings, registry: Registry, topic_id: str, seconds: float
) -> LoadedWindows:
    """Read the totals, and load what they say of a topic of the aggregates; blocks.

    Args:
        kafka: How to reach the broker.
        registry: Where schemas come from.
        topic_id: Kafka's id of ``inferwatch.aggregates``.
        seconds: How long reading may take.

    Raises:
        TakeOverError: The totals did not come in time.
        SchemasError: Kafka or the registry does not answer, or refuses.
    """
    windows = WindowStore(topic_id)
    journal = Journal(windows, registry)
    records, end = _read(kafka, seconds)
    return LoadedWindows(windows, journal, journal.load(records), len(records), end)


def _read(kafka: KafkaSettings, seconds: float) -> tuple[dict[bytes, bytes], int]:
    """The newest value of each key, and the offset after the last record."""
    newest: dict[bytes, bytes] = {}
    deadline = time.monotonic() + seconds
    with PartitionLog(kafka, TOTALS.name, seconds) as reader:
        low, _ = reader.bounds()
        reader.start(low)
        ended = False
        while not ended:
            if time.monotonic() > deadline:
                raise TakeOverError(f"{TOTALS.name} was not read within {seconds:g} s.")
            pairs, ended = reader.read_pairs(POLL_SECONDS)
            for key, value in pairs:
                if value is None:
                    newest.pop(key, None)
                else:
                    newest[key] = value
        return newest, reader.position
