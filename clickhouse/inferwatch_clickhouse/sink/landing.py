"""The landing: chunks in, inserts out, floors for the transport."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_clickhouse.errors import ClickHouseError
from inferwatch_clickhouse.sink import metrics
from inferwatch_clickhouse.sink.loads import Load, Loads
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.columnar.burial import Burial
from inferwatch_schemas.columnar.cursors import Cursors
from inferwatch_schemas.columnar.patience import read_patiently
from inferwatch_schemas.columnar.reader import ChunkReader
from inferwatch_schemas.columnar.reasons import TOMBSTONE
from inferwatch_schemas.columnar.waits import Waits
from inferwatch_schemas.errors import EmitError, SchemasError
from inferwatch_schemas.topics import AGGREGATED, BY_NAME, LANDED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inferwatch_clickhouse.client import ClickHouse
    from inferwatch_clickhouse.sink.settings import SinkSettings
    from inferwatch_schemas.columnar.chunk import Assignment, Chunk, TopicPartition
    from inferwatch_schemas.columnar.reader import BadRecord, Part
    from inferwatch_schemas.emitter import Emitter
    from inferwatch_schemas.registry import Registry

log = structlog.get_logger(__name__)

ADMIN_TIMEOUT_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 10.0
FIRST_BACKOFF_SECONDS: Final = 0.2
MAX_BACKOFF_SECONDS: Final = 10.0


@dataclass(slots=True)
class Batch:
    """What one flush inserts.

    Attributes:
        positions: Of each partition, the offset up to which it holds everything.
        loads: Those that ClickHouse has not acknowledged.
        checked: Whether they are known to be of the topics whose ids they name.
    """

    positions: dict[TopicPartition, int]
    loads: list[Load]
    checked: bool = False


class Landing:
    """Puts every topic's records into ClickHouse; what the transport calls ``ChunkProcessor``.

    A partition's floor rises only when ClickHouse has acknowledged everything below it. While it
    does not, what is in memory stays there, no more is read, and the insert is tried again.
    """

    def __init__(
        self,
        settings: SinkSettings,
        registry: Registry,
        clickhouse: ClickHouse,
        emitter: Emitter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._clickhouse = clickhouse
        self._emitter = emitter
        self._readers = {topic.name: ChunkReader(topic, registry, {}) for topic in LANDED}
        self._burial = Burial(emitter, registry, settings.group, clock)
        self.cursors = Cursors(time.monotonic)
        self.waits = Waits(time.monotonic)
        self._topic_ids: dict[str, str] = {}
        self._loads = Loads()
        self._batch: Batch | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._floors: dict[TopicPartition, int] = {}
        self._epoch = 0
        self._flushing = asyncio.Lock()
        self._admin: TopicAdmin | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics to read."""
        return tuple(sorted(self._readers))

    @property
    def read_again(self) -> bool:
        """See ``ChunkProcessor``."""
        return self.cursors.read_again

    def fetched(self, positions: Mapping[TopicPartition, int]) -> None:
        """See ``ChunkProcessor``."""
        self.cursors.fetched(positions)

    def topic_ids(self, names: frozenset[str]) -> Mapping[str, str]:
        """See ``ChunkProcessor``."""
        if self._admin is None:
            self._admin = TopicAdmin(self._settings.kafka, ADMIN_TIMEOUT_SECONDS)
        return self._admin.ids(sorted(names))

    def assign(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        """See ``ChunkProcessor``."""
        self._epoch += 1
        self.cursors.assign(assignments)
        self._topic_ids = {topic: start.topic_id for (topic, _), start in assignments.items()}
        # What was taken in and not inserted is read again, by whoever has it now.
        self._loads, self._batch = Loads(), None
        self._positions = {at: start.start for at, start in assignments.items()}
        self._floors = dict(self._positions)

    async def process(self, chunk: Chunk) -> None:
        """Take one chunk in; waits while too much waits to be inserted, or the registry is away."""
        with self.cursors.at_work():
            await self._process(chunk)

    async def _process(self, chunk: Chunk) -> None:
        if not self.cursors.accepts(chunk):
            return
        epoch = self._epoch
        read = await read_patiently(
            self._readers[chunk.topic], chunk, lambda: epoch == self._epoch, self.waits
        )
        if read is None:
            return
        parts, bad = read
        self._take_in(chunk, parts, bad)
        # The first of two flushes may only finish what an earlier one, cancelled, had left.
        while self._loads.size >= self._settings.flush_bytes and epoch == self._epoch:
            await self.flush()

    def _take_in(self, chunk: Chunk, parts: Sequence[Part], bad: Sequence[BadRecord]) -> None:
        topic_id = self._topic_ids[chunk.topic]
        for part in parts:
            self._loads.add(chunk, part, topic_id)
        topic = BY_NAME[chunk.topic]
        if topic.cleanup == "compact":
            # There a record without a value is no bad one: it removes what its key had.
            bad = [record for record in bad if record.reason != TOMBSTONE]
        metrics.SKIPPED.labels(chunk.topic).inc(len(bad))
        # The aggregation buries what is bad in the topics that it counts.
        if topic not in AGGREGATED:
            for record in bad:
                self._burial.bury(chunk, record, topic_id)
        self._positions[chunk.topic, chunk.partition] = chunk.end
        self.cursors.advance(chunk)
        metrics.WAITING_BYTES.set(self._loads.size)

    async def flush(self) -> None:
        """Insert what has come; returns when ClickHouse has it, or it is no longer ours.

        Cancelled, it leaves what was not inserted to the next flush.
        """
        async with self._flushing:
            epoch = self._epoch
            if self._batch is None:
                self._batch = Batch(dict(self._positions), self._loads.take())
            batch = self._batch
            if not await self._check_topics(batch) or epoch != self._epoch:
                return
            with self.waits.during("ClickHouse to take rows"):
                while batch.loads:
                    if not await self._insert(batch.loads[0], epoch):
                        return
                    del batch.loads[0]
            try:
                with self.waits.during("Kafka to acknowledge dead letters"):
                    await self._emitter.settle()
            except EmitError as error:
                # Only reading finds the dead letters again. Until then nothing is committed.
                log.warning("dead letters not acknowledged", error=str(error))
                self.cursors.read_again = True
            if epoch != self._epoch:
                return
            self._batch = None
            if self.cursors.read_again:
                return
            self._floors = batch.positions
            for (topic, partition), offset in batch.positions.items():
                metrics.POSITION.labels(topic, str(partition)).set(offset)

    async def _check_topics(self, batch: Batch) -> bool:
        """Whether a batch is of the topics whose ids it names, before it is inserted.

        A topic may have been deleted and created again, and its new log have grown beyond where the
        old one was read to. What was fetched while its id was still the old one is the old one's.
        """
        if batch.checked or not batch.loads:
            return True
        known = self._topic_ids
        try:
            with self.waits.during("Kafka to say which topics these are"):
                ids = await asyncio.to_thread(self.topic_ids, frozenset(known))
        except SchemasError as error:
            log.warning("not inserted yet: topics cannot be looked up", error=str(error))
            await asyncio.sleep(FIRST_BACKOFF_SECONDS)
            return False
        if any(ids.get(name, topic_id) != topic_id for name, topic_id in known.items()):
            self.cursors.read_again = True
            await asyncio.sleep(FIRST_BACKOFF_SECONDS)
            return False
        batch.checked = True
        return True

    async def _insert(self, load: Load, epoch: int) -> bool:
        """Insert until it is done; False when the partitions were given away meanwhile."""
        table, body, backoff = load.table.storage, load.body(), FIRST_BACKOFF_SECONDS
        while epoch == self._epoch:
            started = time.monotonic()
            try:
                await asyncio.to_thread(self._clickhouse.insert_avro, table, load.columns, body)
            except ClickHouseError as error:
                metrics.FAILURES.labels(load.table.view).inc()
                log.warning(
                    "not inserted, will be tried again", table=table, rows=load.rows,
                    records=load.where(), error=str(error), next_try_seconds=backoff,
                )  # fmt: skip
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)
                continue
            metrics.INSERT_SECONDS.labels(load.table.view).observe(time.monotonic() - started)
            metrics.ROWS.labels(load.table.view).inc(load.rows)
            return True
        return False

    async def drain(self) -> None:
        """See ``ChunkProcessor``."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.flush()
        except TimeoutError:
            log.warning("ClickHouse did not acknowledge in time; the records are read again")

    def floors(self) -> Mapping[TopicPartition, int]:
        """See ``ChunkProcessor``."""
        return self._floors

    def durable(self) -> Mapping[TopicPartition, int]:
        """See ``ChunkProcessor``."""
        return self._floors
