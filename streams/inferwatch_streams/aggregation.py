"""The aggregation: chunks in, aggregate rows and dead letters out, floors for the transport."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.columnar.burial import Burial
from inferwatch_schemas.columnar.cursors import Cursors
from inferwatch_schemas.columnar.patience import read_patiently
from inferwatch_schemas.columnar.reader import ChunkReader
from inferwatch_schemas.columnar.waits import Waits
from inferwatch_schemas.errors import EmitError, SchemasError
from inferwatch_streams import metrics
from inferwatch_streams.blocks.partition import PartitionBlocks
from inferwatch_streams.rows.row_format import RowFormat
from inferwatch_streams.signals import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from inferwatch_schemas.columnar.chunk import Assignment, Chunk, TopicPartition
    from inferwatch_schemas.emitter import Emitter
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.rows.sender import RowSender
    from inferwatch_streams.settings import AggregationSettings

log = structlog.get_logger(__name__)

#: What a flush waits for, until one succeeds.
ACKNOWLEDGEMENT: Final = "Kafka to acknowledge rows"
ADMIN_TIMEOUT_SECONDS: Final = 10.0
# Closed blocks of one partition that may wait for the broker before no more is read.
MAX_WAITING: Final = 4
DRAIN_SECONDS: Final = 10.0
FIRST_BACKOFF_SECONDS: Final = 0.2
MAX_BACKOFF_SECONDS: Final = 10.0


class Aggregation:
    """Counts the topics of the signals into blocks; what the transport calls ``ChunkProcessor``."""

    def __init__(
        self,
        settings: AggregationSettings,
        registry: Registry,
        emitter: Emitter,
        rows: RowSender,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._emitter = emitter
        self._rows = rows
        topics = {signal.topic for signal in SIGNALS}
        self._signals = {
            topic.name: tuple(signal for signal in SIGNALS if signal.topic == topic)
            for topic in topics
        }
        self._readers = {
            topic.name: ChunkReader(
                topic,
                registry,
                {signal.schema: signal.fields for signal in self._signals[topic.name]},
            )
            for topic in topics
        }
        self._formats = {signal: RowFormat(signal, registry) for signal in SIGNALS}
        self._burial = Burial(emitter, registry, settings.group, clock)
        self._partitions: dict[TopicPartition, PartitionBlocks] = {}
        self._floors: dict[TopicPartition, int] = {}
        self._durable: dict[TopicPartition, int] = {}
        # Whether dead letters were sent that the broker may not have.
        self._buried = False
        self._flushing = asyncio.Lock()
        self._admin: TopicAdmin | None = None
        self.cursors = Cursors(time.monotonic)
        self.waits = Waits(time.monotonic)

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
        self.cursors.assign(assignments)
        self._partitions = {
            (topic, partition): PartitionBlocks(
                start, partition, self._signals[topic], self._settings.block_length
            )
            for (topic, partition), start in assignments.items()
        }
        self._floors = {at: start.start for at, start in assignments.items()}
        self._durable = {at: max(start.start, start.lost_from) for at, start in assignments.items()}
        for (topic, _), start in assignments.items():
            metrics.LOST_OFFSETS.labels(topic).inc(max(0, start.start - start.lost_from))

    async def process(self, chunk: Chunk) -> None:
        """Count one chunk; waits while the broker is behind or the registry away."""
        with self.cursors.at_work():
            await self._process(chunk)

    async def _process(self, chunk: Chunk) -> None:
        if not self.cursors.accepts(chunk):
            return
        at = (chunk.topic, chunk.partition)
        blocks = self._partitions.get(at)
        if blocks is None:
            # An error broke the partition off: it is begun anew.
            self.cursors.read_again = True
            return
        read = await read_patiently(
            self._readers[chunk.topic],
            chunk,
            lambda: self._partitions.get(at) is blocks,
            self.waits,
        )
        if read is None:
            return
        parts, bad = read
        for record in bad:
            self._buried = True
            self._burial.bury(chunk, record, blocks.topic_id)
            metrics.DEAD_LETTERS.labels(chunk.topic, record.reason).inc()
        try:
            blocks.add(chunk, parts)
        except BaseException:
            # Half a chunk may be counted. Such rows must never be sent: the floor stays, and the
            # hole that this chunk leaves has the partition read again.
            del self._partitions[at]
            raise
        self.cursors.advance(chunk)
        metrics.EVENTS.labels(chunk.topic).inc(sum(len(part.rows) for part in parts))
        metrics.POSITION.labels(*map(str, at)).set(blocks.position)
        backoff = FIRST_BACKOFF_SECONDS
        while blocks.waiting > MAX_WAITING and self._partitions.get(at) is blocks:
            if not await self.flush():
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)

    async def flush(self) -> bool:
        """Send changed rows and wait for the broker; False when it does not have them all.

        What failed stays marked and goes out with the next flush, whole.
        """
        async with self._flushing:
            started = time.monotonic()
            taken = dict(self._partitions)
            closed = {at: blocks.waiting for at, blocks in taken.items()}
            positions = {at: blocks.position for at, blocks in taken.items()}
            self.waits.begin(ACKNOWLEDGEMENT)
            try:
                await self._deliver(taken.values())
            except EmitError as error:
                metrics.EMIT_FAILURES.inc()
                log.warning("rows not acknowledged, will be sent again", error=str(error))
                if self._buried:
                    # A dead letter may have failed too, and only reading finds it again.
                    self.cursors.read_again = True
                return False
            self.waits.end(ACKNOWLEDGEMENT)
            self._buried = False
            for at, blocks in taken.items():
                blocks.acknowledge(closed[at])
                # Until what must be read again is begun anew, nothing after it may be committed.
                if self._partitions.get(at) is blocks and not self.cursors.read_again:
                    self._floors[at] = blocks.floor
                    self._durable[at] = max(self._durable[at], positions[at])
                    topic, partition = at
                    metrics.FLOOR.labels(topic, str(partition)).set(blocks.floor)
            metrics.FLUSH_SECONDS.observe(time.monotonic() - started)
            return True

    async def _deliver(self, taken: Iterable[PartitionBlocks]) -> None:
        """Send changed rows, and return when the broker has them all.

        Raises:
            EmitError: It does not. After this as after any other error, or when cancelled, the
                rows count as changed again.
        """
        try:
            changed = [row for blocks in taken for row in blocks.take_changed()]
            await self._check_topics(
                {(place.topic_id, signal.topic.name) for signal, place, _ in changed}
            )
            for signal, place, columns in changed:
                await self._rows.send(self._formats[signal].encode(place, columns))
                metrics.ROWS.labels(signal.name).inc(len(columns.versions))
            await self._rows.settle()
            await self._emitter.settle()
        except BaseException:
            self._rows.forget()
            for blocks in taken:
                blocks.mark_all()
            raise

    async def _check_topics(self, counted: set[tuple[str, str]]) -> None:
        """Make sure that rows are of the topics whose ids they name, before they are sent.

        A topic may have been deleted and created again, and its new log have grown beyond where the
        old one was read to. What was fetched while its id was still the old one is the old one's.

        Args:
            counted: Id and name of each topic that the rows are of.

        Raises:
            EmitError: One is another now, or nobody says so.
        """
        if not counted:
            return
        names = frozenset(name for _, name in counted)
        try:
            ids = await asyncio.to_thread(self.topic_ids, names)
        except SchemasError as error:
            raise EmitError(f"whose rows they are is unknown: {error}") from error
        if others := sorted(name for known, name in counted if ids.get(name, known) != known):
            self.cursors.read_again = True
            raise EmitError(f"created again, and begun anew: {', '.join(others)}")

    async def drain(self) -> None:
        """See ``ChunkProcessor``."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.flush()
        except TimeoutError:
            log.warning("the broker did not acknowledge in time; the open blocks are read again")

    def floors(self) -> Mapping[TopicPartition, int]:
        """See ``ChunkProcessor``."""
        return self._floors

    def durable(self) -> Mapping[TopicPartition, int]:
        """See ``ChunkProcessor``."""
        return self._durable
