"""Faust transport ``chunks://``: Faust's aiokafka driver, reading chunks and committing floors.

What differs from Faust's own driver, and why (docs/decisions/0002):

- a message is a chunk, a run of records;
- Faust's ledger of acknowledged messages is not used: it commits past messages in flight. The
  application says up to where its results are durable (``ChunkProcessor.floors``), and that is
  committed, at the commit interval, when partitions are revoked and at the end;
- after every assignment each partition is read again from its committed offset, and the
  application begins it anew: a rebalance drops what was under way between reading and processing.
"""

# The classes derive from Faust's, which carry no usable types for what is overridden here.

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import aiokafka
import structlog
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    OffsetMetadataTooLargeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as stock
from faust.types.tuples import TP, ConsumerMessage
from mode import Service

from inferwatch_schemas.columnar.stalls import Observation
from inferwatch_schemas.columnar.watchdog import LOOK_SECONDS
from inferwatch_schemas.errors import KafkaUnavailableError, SchemasError
from inferwatch_streams.transport import fetch, rehearsal
from inferwatch_streams.transport.fetch_limits import fetch_limits
from inferwatch_streams.transport.inflate import check_codecs
from inferwatch_streams.transport.partition_states import (
    PartitionState,
    has_joined,
    partition_states,
)
from inferwatch_streams.transport.starting_points import (
    StartingPoint,
    choose_start,
    commit_metadata,
    without_note,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_schemas.columnar.chunk import (
        Assignment,
        Chunk,
        ChunkProcessor,
        TopicPartition,
    )
    from inferwatch_schemas.columnar.watchdog import Watchdog

log = structlog.get_logger(__name__)

# A rebalance, not a fault: whoever owns the partition now reads it from the last commit.
LOST_OWNERSHIP = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)


WATCH_SECONDS: Final = 1.0
# How soon a topic that was created again is noticed.
WATCH_TOPICS_SECONDS: Final = 5.0
SEEK_AGAIN_SECONDS: Final = 0.5


class ConsumerThread(stock.AIOKafkaConsumerThread):
    """The thread that holds aiokafka's consumer."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        conf = self.app.conf
        # Of roles that one worker leads, the app declares another.
        self._assignor = getattr(self.app, "group_assignor", RoundRobinPartitionAssignor)
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=stock.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **fetch_limits(conf.consumer_max_fetch_size),
            # A sink whose ClickHouse is away stops asking for chunks: it is slow, not dead, and
            # its heartbeats go on. Leaving the group would only hand the wait to another worker.
            max_poll_interval_ms=24 * 60 * 60 * 1000,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            metadata_max_age_ms=10_000,
            isolation_level="read_committed",
            value_deserializer=fetch.CHUNKS,
            **stock.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    async def starting_points(self) -> dict[TP, StartingPoint]:
        """What the broker knows of every assigned partition."""
        return cast("dict[TP, StartingPoint]", await self.call_thread(self._starting_points))

    async def _starting_points(self) -> dict[TP, StartingPoint]:
        consumer = self._ensure_consumer()
        tps = list(consumer.assignment())
        if not tps:
            return {}
        committed = await consumer._coordinator.fetch_committed_offsets(tps)  # noqa: SLF001  # the public call drops the metadata
        beginnings = await consumer.beginning_offsets(tps)
        ends = await consumer.end_offsets(tps)
        return {
            ensure_TP(tp): StartingPoint(
                committed=committed[tp].offset if tp in committed else -1,
                metadata=committed[tp].metadata if tp in committed else "",
                log_start=beginnings[tp],
                log_end=ends[tp],
            )
            for tp in tps
        }

    def states(self) -> dict[TopicPartition, PartitionState] | None:
        """What the client knows of each assigned partition; None without an assignment."""
        # The tasks of the app start beside this thread, which may come later.
        return None if self._consumer is None else partition_states(self._consumer)

    def joined(self) -> bool:
        """Whether the group is settled, as far as the client knows."""
        return self._consumer is not None and has_joined(self._consumer)

    async def commit_floors(self, offsets: Mapping[TP, OffsetAndMetadata]) -> bool:
        """Commit; False when the partitions are no longer this worker's, or the broker is away."""
        return cast("bool", await self.call_thread(self._commit_floors, offsets))

    async def _commit_floors(self, offsets: Mapping[TP, OffsetAndMetadata]) -> bool:
        try:
            try:
                await self._commit_offsets(offsets)
            except OffsetMetadataTooLargeError:
                log.warning("offset.metadata.max.bytes is below 4096: committed without notes")
                await self._commit_offsets({
                    tp: OffsetAndMetadata(at.offset, without_note(at.metadata))
                    for tp, at in offsets.items()
                })  # fmt: skip
        except LOST_OWNERSHIP as error:
            self.log.info("Not committed, the group is rebalancing: %r", error)
            return False
        except KafkaError as error:
            self.log.warning("Not committed, will be tried again: %r", error)
            return False
        return True

    async def _commit_offsets(self, offsets: Mapping[TP, OffsetAndMetadata]) -> None:
        await self._ensure_consumer().commit(
            {stock.ensure_aiokafka_TP(tp): offset for tp, offset in offsets.items()}
        )


class Consumer(stock.Consumer):
    """Faust's consumer with floors in place of acknowledgements."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: The app declares it; Faust's own App has no place for it.
        self._processor: ChunkProcessor = self.app.processor  # type: ignore[attr-defined]  # as said
        self._watchdog: Watchdog = self.app.watchdog  # type: ignore[attr-defined]  # likewise
        # A role that keeps something beside its floors declares it.
        self._notes: Callable[[], Mapping[TopicPartition, str]] = getattr(
            self.app, "commit_notes", dict
        )
        self._committed: dict[TP, OffsetAndMetadata] = {}
        self._assigned: dict[TP, Assignment] = {}
        # Kept over assignments, unlike what is assigned.
        self._topic_ids: dict[str, str] = {}
        # Of topics that were created again: those of which nothing was committed since.
        self._others: set[TP] = set()
        self._committing = asyncio.Lock()
        self._seeking = asyncio.Lock()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _chunk_thread(self) -> ConsumerThread:
        return cast("ConsumerThread", self._thread)

    def _to_message(self, tp: TP, record: Chunk) -> Any:
        return ConsumerMessage(
            record.topic, record.partition, record.start, 0.0, 0, None, None,
            cast("Any", record), None, 0, 0,
            tp, generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def perform_seek(self) -> None:
        """Begin every assigned partition at its committed offset.

        Faust calls this after each assignment, before it delivers anything.
        """
        async with self._seeking:
            found, ids = await self._found()
            # A topic that vanished has no id; the next assignment leaves it out.
            found = {tp: point for tp, point in found.items() if tp.topic in ids}
            others = self._tell_of_other_topics(ids)
            self._others |= {tp for tp in found if tp.topic in others}
            self._assigned = {
                tp: choose_start(point, ids[tp.topic], was_another=tp in self._others)
                for tp, point in found.items()
            }
            self._committed = {
                tp: OffsetAndMetadata(point.committed, point.metadata)
                for tp, point in found.items()
            }
            self._processor.assign(
                {(tp.topic, tp.partition): start for tp, start in self._assigned.items()}
            )
            await self._chunk_thread.seek_wait(
                {tp: assignment.start for tp, assignment in self._assigned.items()}
            )
            for tp in found:
                # Faust drops, without a word, what lies below the offset it read last.
                self._read_offset[tp] = None

    async def _found(self) -> tuple[dict[TP, StartingPoint], Mapping[str, str]]:
        """Where the assigned partitions begin, and their topics' ids, once Kafka says so.

        A broker that has just come back may answer one client and not yet the other. An error here
        would end the worker.
        """
        while True:
            found = await self._chunk_thread.starting_points()
            names = frozenset(tp.topic for tp in found)
            try:
                return found, await asyncio.to_thread(self._processor.topic_ids, names)
            except KafkaUnavailableError as error:
                if self.should_stop:
                    raise
                log.warning("not begun, will be tried again", error=str(error))
            await self.sleep(SEEK_AGAIN_SECONDS)

    def _tell_of_other_topics(self, ids: Mapping[str, str]) -> frozenset[str]:
        """The names that this worker knew as another topic's."""
        others = {
            name: (known, ids[name])
            for name, known in self._topic_ids.items()
            if ids.get(name, known) != known
        }
        self._watchdog.tell_recreated(others)
        self._topic_ids |= ids
        return frozenset(others)

    @Service.task
    async def _watch(self) -> None:
        """Begin anew where the application asks for it, or a topic has become another."""
        due = time.monotonic() + WATCH_TOPICS_SECONDS
        async for _ in self.itertimer(WATCH_SECONDS, name="watch"):
            if not self.app.rebalancing and self.flow_active:
                self._processor.fetched(
                    {
                        at: state.fetched
                        for at, state in (self._chunk_thread.states() or {}).items()
                        if state.fetched is not None
                    }
                )
            again = self._processor.read_again or self._watchdog.take_repair()
            if time.monotonic() >= due:
                due = time.monotonic() + WATCH_TOPICS_SECONDS
                again = await self._other_topics() or again
            if again and not self.app.rebalancing:
                try:
                    await self.perform_seek()
                except (KafkaError, SchemasError) as error:
                    log.warning("not begun anew, will be tried again", error=repr(error))
                    due = 0.0

    @Service.task
    async def _watch_progress(self) -> None:
        """Show the watchdog the partitions, although ``_watch`` may wait for the broker."""
        async for _ in self.itertimer(LOOK_SECONDS, name="watchdog"):
            settled = self.flow_active and not self.app.rebalancing
            self._watchdog.observe(
                self._observations(), joined=settled and self._chunk_thread.joined()
            )

    def _observations(self) -> dict[TopicPartition, Observation] | None:
        states = self._chunk_thread.states()
        if states is None:
            return None
        durable = self._processor.durable()
        ids = {tp.topic: start.topic_id for tp, start in self._assigned.items()}
        return {
            at: Observation(
                ids.get(at[0], ""), durable.get(at), state.log_end, state.answered, state.pending
            )
            for at, state in states.items()
        }

    async def _other_topics(self) -> bool:
        """Whether a topic was deleted and created again: its log is another one.

        Its offsets lie below what was read of the old log, so that clients wait for them to catch
        up, or drop them, in silence.
        """
        assigned = {tp.topic: start.topic_id for tp, start in self._assigned.items()}
        if not assigned or self.app.rebalancing:
            return False
        try:
            ids = await asyncio.to_thread(self._processor.topic_ids, frozenset(assigned))
        except SchemasError as error:
            log.warning("topics cannot be looked up", error=str(error))
            return False
        if missing := sorted(assigned.keys() - ids.keys()):
            log.error("topics were deleted: waiting for them", topics=missing)
            return False
        return any(ids[name] != known for name, known in assigned.items())

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Faust does not seek where nothing is assigned, and so nobody would be told of that."""
        if not assigned:
            self._assigned = {}
            self._processor.assign({})
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Make durable and commit what was processed, while the partitions are still ours."""
        await self._settle()
        await super().on_partitions_revoked(revoked)

    async def on_stop(self) -> None:
        """Make durable and commit what was processed, then leave."""
        await self._settle()
        await super().on_stop()

    async def _settle(self) -> None:
        if self._assigned:
            await self._processor.drain()
            await self.commit()

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002  # Faust's signature
        """Commit the floors, where they or what is durable above them have moved."""
        async with self._committing:
            floors, durable = self._processor.floors(), self._processor.durable()
            notes = self._notes()
            moved: dict[TP, OffsetAndMetadata] = {}
            assigned = self._assigned
            for tp, assignment in assigned.items():
                at = (tp.topic, tp.partition)
                if at not in floors:
                    continue
                metadata = commit_metadata(assignment.topic_id, durable[at], notes.get(at, ""))
                offset = OffsetAndMetadata(floors[at], metadata)
                if offset != self._committed.get(tp) and durable[at] > 0:
                    moved[tp] = offset
            if not moved or not await self._chunk_thread.commit_floors(moved):
                return False
            self._committed |= moved
            # Where they were begun anew meanwhile, this was of the topic that they were.
            self._others -= {
                tp for tp in moved if assigned[tp].topic_id == self._topic_ids[tp.topic]
            }
            return True


class Transport(stock.Transport):
    """Registered as ``chunks`` in the entry-point group ``faust.transports``."""

    Consumer: ClassVar[type[Consumer]] = Consumer
    #: For who must not import this package, and has to try what it delivers.
    chunk_of = staticmethod(rehearsal.chunk_of)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Prepare aiokafka.

        Raises:
            UnsupportedVersionError: aiokafka or Faust is of another version than was pinned.
            MissingCodecError: A compression that producers may choose cannot be read.
        """
        fetch.install()
        check_codecs()
        super().__init__(*args, **kwargs)
