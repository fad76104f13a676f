"""The windows of the rules, and how they outlive this worker: by ``inferwatch.totals``."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.emitter import SENT_AT_ONCE
from inferwatch_schemas.errors import EmitError
from inferwatch_schemas.topics import AGGREGATES, TOTALS
from inferwatch_schemas.wire import cloudevents_headers
from inferwatch_streams.errors import SupersededError
from inferwatch_streams.leading.in_thread import in_thread
from inferwatch_streams.rules_worker.loading_ahead import LoadingAhead
from inferwatch_streams.rules_worker.totals_reading import load_windows
from inferwatch_streams.windows.journal import Journal
from inferwatch_streams.windows.store import WindowStore
from inferwatch_streams.windows.totals import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inferwatch_schemas.columnar.chunk import Assignment, Chunk, TopicPartition
    from inferwatch_schemas.columnar.reader import BadRecord, Part
    from inferwatch_schemas.emitter import Emitter
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.windows.totals import Record

log = structlog.get_logger(__name__)

SOURCE: Final = "inferwatch/rules"


class WindowKeeper:
    """Rows of the aggregates as windows; used by one task at a time.

    Attributes:
        windows: What rules read.
    """

    def __init__(
        self, kafka: KafkaSettings, registry: Registry, emitter: Emitter, load_seconds: float
    ) -> None:
        """Begin empty.

        Args:
            kafka: How to reach the broker.
            registry: Where schemas come from.
            emitter: Sends totals.
            load_seconds: How long reading the totals may take.

        Raises:
            SchemasError: The registry does not answer, or does not know the schemas.
        """
        self._kafka = kafka
        self._registry = registry
        self._emitter = emitter
        self._load_seconds = load_seconds
        self._ahead = LoadingAhead(kafka, registry, load_seconds)
        self.windows = WindowStore()
        self._journal = Journal(self.windows, registry)

    def load_ahead(self) -> None:
        """Begin to read the totals before anybody knows whether this worker will lead."""
        self._ahead.start()

    async def load(
        self, assignments: Mapping[TopicPartition, Assignment], epoch: int
    ) -> int | None:
        """Begin anew with what the totals say; the event time up to which rules have looked.

        Args:
            assignments: Where reading begins.
            epoch: This leader's.

        Returns:
            None where nobody knows.

        Raises:
            TakeOverError: The totals did not come in time.
            SchemasError: Kafka does not answer, or refuses.
        """
        started = time.monotonic()
        ours = {at[1]: start for at, start in assignments.items() if at[0] == AGGREGATES.name}
        topic_id = next((start.topic_id for start in ours.values()), "")
        # Hundreds of megabytes, of which there is no need to have twice.
        self.windows = WindowStore(topic_id)
        self._journal = Journal(self.windows, self._registry)
        loaded = await in_thread(self._ahead.take, topic_id)
        ahead = loaded is not None
        if loaded is None:
            loaded = await in_thread(
                load_windows, self._kafka, self._registry, topic_id, self._load_seconds
            )
        loaded.journal.lead(epoch)
        self.windows, self._journal = loaded.windows, loaded.journal
        for partition, read_from in loaded.start.read_from.items():
            if partition in ours and ours[partition].start > read_from:
                log.error(
                    "aggregate rows lost: they are in no totals, and are not read any more",
                    partition=partition, first=read_from, last=ours[partition].start - 1,
                )  # fmt: skip
        log.info(
            "windows loaded", totals=loaded.records, groups=self.windows.groups, ahead=ahead,
            seconds=round(time.monotonic() - started, 3),
        )  # fmt: skip
        return loaded.start.evaluated_until

    def take(self, chunk: Chunk, parts: Sequence[Part], bad: list[BadRecord]) -> None:
        """See ``WindowStore.take``."""
        self.windows.take(chunk, parts, bad)

    async def checkpoint(self, evaluated_until: int | None) -> Mapping[TopicPartition, int]:
        """Write down what is needed after a restart, and from where each partition is read then.

        Raises:
            SupersededError: The broker may not have all of it: windows have to be loaded again.
        """
        save = await in_thread(self._journal.save, evaluated_until)
        if save is None:
            return {}
        try:
            for step in save.steps:
                await self._write(step)
        except EmitError as error:
            raise SupersededError(f"{TOTALS.name} has to be read again: {error}") from error
        return {(AGGREGATES.name, number): offset for number, offset in save.floors.items()}

    async def _write(self, records: Sequence[Record]) -> None:
        for number, (key, value) in enumerate(records):
            if number % SENT_AT_ONCE == 0:
                await self._emitter.room()
            headers = cloudevents_headers(SCHEMA, secrets.token_hex(8), SOURCE)
            self._emitter.send(TOTALS.name, key, value, headers)
        await self._emitter.settle()
