"""Chunks of topics that carry few records, given to a handler one by one; for roles that one leads.

What the transport calls ``ChunkProcessor``: it keeps the order of chunks, decodes, leaves out what
cannot be read or does not count, and commits as far as the handler says.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.columnar.cursors import Cursors
from inferwatch_schemas.columnar.dead_letters import key_and_headers
from inferwatch_schemas.columnar.patience import REGISTRY
from inferwatch_schemas.columnar.waits import Waits
from inferwatch_schemas.errors import RegistryUnavailableError, SchemasError, UnknownSchemaError
from inferwatch_streams.errors import LeadingError
from inferwatch_streams.leading import metrics
from inferwatch_streams.leading.fence import EPOCH_HEADER, Fence
from inferwatch_streams.leading.partition_log import epoch_before, epoch_of
from inferwatch_streams.leading.record_handler import TakenRecord
from inferwatch_streams.leading.state_record import named

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from inferwatch_schemas.columnar.chunk import Assignment, Chunk, TopicPartition
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.leading.record_handler import RecordHandler

log = structlog.get_logger(__name__)

ADMIN_TIMEOUT_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 10.0
FIRST_BACKOFF_SECONDS: Final = 0.2
MAX_BACKOFF_SECONDS: Final = 5.0
#: What is waited for after an assignment.
BEGINNING: Final = "the role's state to be read"
#: One that lost its state lets the group settle first: two that claim in turns would help nobody.
CALM_SECONDS: Final = 1.0


class RecordProcessor:
    """See the module; used from the event loop.

    Attributes:
        cursors: Which chunk is the next.
        waits: What is waited for, for the watchdog.
    """

    def __init__(  # noqa: PLR0913  # the last two have defaults
        self,
        kafka: KafkaSettings,
        registry: Registry,
        topics: Collection[str],
        handler: RecordHandler,
        *,
        fenced: Collection[str] = (),
        chunks: Mapping[str, Callable[[Chunk], Awaitable[None]]] | None = None,
    ) -> None:
        """Start without partitions.

        Args:
            kafka: How to reach the broker.
            registry: Where schemas come from.
            topics: Names of topics whose records the handler gets.
            handler: Takes them.
            fenced: Those of them that are state topics: claims and records of replaced leaders are
                left out.
            chunks: Further topics, and who takes their chunks as they are.
        """
        self._kafka = kafka
        self._registry = registry
        self._handler = handler
        self._fenced = frozenset(fenced)
        self._chunks = dict(chunks or {})
        self._topics = tuple(sorted({*topics, *self._chunks}))
        self._fences: dict[str, Fence] = {}
        self._assignments: Mapping[TopicPartition, Assignment] = {}
        self._floors: dict[TopicPartition, int] = {}
        self._notes: dict[TopicPartition, str] = {}
        # Counts assignments, and losses of the lead.
        self._epoch = 0
        self._begun: int | None = None
        self._lost = False
        self._calm_until = 0.0
        self._beginning = asyncio.Lock()
        self._admin: TopicAdmin | None = None
        self._given = asyncio.Event()
        self.cursors = Cursors(time.monotonic)
        self.waits = Waits(time.monotonic)

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics to read."""
        return self._topics

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
            self._admin = TopicAdmin(self._kafka, ADMIN_TIMEOUT_SECONDS)
        return self._admin.ids(sorted(names))

    def assign(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        """See ``ChunkProcessor``."""
        self._epoch += 1
        self._lost = False
        self.cursors.assign(assignments)
        self._assignments = dict(assignments)
        self._floors = {at: start.start for at, start in assignments.items()}
        self._notes = {at: start.note for at, start in assignments.items()}
        if assignments:
            self._given.set()

    async def given(self) -> None:
        """Wait until this worker was given partitions for the first time."""
        await self._given.wait()

    @property
    def assigned(self) -> bool:
        """Whether this worker has partitions."""
        return bool(self._assignments)

    def done(self, at: TopicPartition, offset: int, note: str = "") -> None:
        """What the handler says: of a partition, everything below an offset is durable.

        Args:
            at: The partition.
            offset: The offset.
            note: What the next to have the partition finds in its ``Assignment``.
        """
        if at in self._floors:
            self._floors[at] = max(self._floors[at], offset)
            self._notes[at] = note

    def position(self, at: TopicPartition) -> int | None:
        """Offset up to which a partition was taken; None where it is not this worker's."""
        return self.cursors.position(at)

    def begin_anew(self, why: LeadingError) -> None:
        """Say that this worker leads no more: what it holds counts no more, and is read again."""
        log.warning("leads no more, begins anew", error=str(why))
        self._lost = True
        self._epoch += 1
        self._calm_until = time.monotonic() + CALM_SECONDS
        self.cursors.read_again = True

    async def ready(self) -> bool:
        """Whether this worker has the partitions and the handler has begun, which is seen to here.

        A role that acts by time asks before it does; while the handler begins, this waits.
        """
        async with self._beginning:
            if not self._assignments or self._lost:
                return False
            if self._begun == self._epoch:
                return True
            epoch = self._epoch
            try:
                with self.waits.during(BEGINNING):
                    await asyncio.sleep(max(0.0, self._calm_until - time.monotonic()))
                    self._fences = {
                        topic: Fence(await self._epoch_before(topic)) for topic in self._fenced
                    }
                    await self._handler.begin(self._assignments)
            except (LeadingError, SchemasError) as error:
                log.warning("not begun, will be tried again", error=str(error))
                self._calm_until = time.monotonic() + CALM_SECONDS
                return False
            if epoch != self._epoch:
                return False
            self._begun = epoch
            return True

    async def _epoch_before(self, topic: str) -> int:
        start = self._assignments.get((topic, 0))
        offset = 0 if start is None else start.start
        return await asyncio.to_thread(
            epoch_before, self._kafka, topic, offset, ADMIN_TIMEOUT_SECONDS
        )

    async def process(self, chunk: Chunk) -> None:
        """Give a chunk's records to the handler, when that has begun."""
        with self.cursors.at_work():
            if not self.cursors.accepts(chunk):
                return
            epoch, backoff = self._epoch, FIRST_BACKOFF_SECONDS
            while not await self.ready():
                if epoch != self._epoch or self._lost:
                    return
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)
            try:
                if chunk.topic in self._chunks:
                    await self._chunks[chunk.topic](chunk)
                else:
                    await self._give(chunk, epoch)
            except LeadingError as error:
                if epoch == self._epoch:
                    self.begin_anew(error)
                return
            if epoch == self._epoch:
                self.cursors.advance(chunk)

    async def _give(self, chunk: Chunk, epoch: int) -> None:
        fence = self._fences.get(chunk.topic)
        for index in range(len(chunk)):
            if index in chunk.corrupt:
                self._unusable(chunk, index, "the record batch is corrupt")
                continue
            key, headers = key_and_headers(chunk, index)
            value = chunk.value(index)
            try:
                name = None if key is None else key.decode()
            except UnicodeDecodeError:
                self._unusable(chunk, index, f"the key {key!r} is not UTF-8")
                continue
            offset = int(chunk.offsets[index])
            if fence is not None:
                told = epoch_of(dict(headers).get(EPOCH_HEADER))
                if not fence.accepts(name, value is None, told, offset):
                    if value is not None:
                        metrics.FENCED.labels(chunk.topic).inc()
                    continue
            try:
                schema, record = (None, None) if value is None else await self._decode(value)
            except (ValueError, UnknownSchemaError) as error:
                self._unusable(chunk, index, str(error))
                continue
            if epoch != self._epoch:
                return
            await self._handler.take(
                TakenRecord(
                    chunk.topic, chunk.partition, offset, int(chunk.timestamps[index]), name,
                    schema, record,
                )
            )  # fmt: skip

    async def _decode(self, value: bytes) -> tuple[str, dict[str, Any]]:
        """See ``named``; waits while the registry is away."""
        backoff = FIRST_BACKOFF_SECONDS
        with self.waits.during(REGISTRY):
            while True:
                try:
                    return named(value, self._registry)
                except RegistryUnavailableError as error:
                    log.warning("waiting for the schema registry", error=str(error))
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)

    def _unusable(self, chunk: Chunk, index: int, why: str) -> None:
        # The sink has them buried in the dead letters.
        metrics.UNUSABLE.labels(chunk.topic).inc()
        log.warning(
            "a record cannot be used", topic=chunk.topic, partition=chunk.partition,
            offset=int(chunk.offsets[index]), error=why,
        )  # fmt: skip

    async def drain(self) -> None:
        """See ``ChunkProcessor``."""
        if self._begun != self._epoch:
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._handler.drain()
        except TimeoutError:
            log.warning("not all was made durable in time; it is read again")
        except LeadingError as error:
            log.warning("leads no more; what was taken is read again", error=str(error))

    def floors(self) -> Mapping[TopicPartition, int]:
        """See ``ChunkProcessor``."""
        return self._floors

    def notes(self) -> Mapping[TopicPartition, str]:
        """What is committed beside the floors."""
        return self._notes

    def durable(self) -> Mapping[TopicPartition, int]:
        """See ``ChunkProcessor``.

        Of topics whose chunks are handed on it is how far they were taken: what is made of them may
        rest in memory for long before it is written down, and does not stand still meanwhile.
        """
        return {
            at: max(floor, self.cursors.position(at) or 0) if at[0] in self._chunks else floor
            for at, floor in self._floors.items()
        }
