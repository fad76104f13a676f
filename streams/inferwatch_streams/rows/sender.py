"""Sends aggregate rows to Kafka in whole record batches, and knows when the broker has them all."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from inferwatch_schemas.errors import EmitError
from inferwatch_schemas.faust import aiokafka_settings
from inferwatch_streams.rows.batch import OutgoingBatch, partitions_of, tails_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_streams.rows.row_format import Records

log = structlog.get_logger(__name__)

# A batch that takes longer has failed; its rows are then sent again, so it may be short.
DELIVERY_TIMEOUT_MS: Final = 20_000
# Connecting, and learning of the topic's partitions.
METADATA_SECONDS: Final = 20.0
CLOSE_SECONDS: Final = 5.0


class RowSender:
    """Sends rows to one topic.

    Neither idempotent nor transactional: a row that arrives twice, or after a later one, changes
    nothing (docs/decisions/0001), and a producer without sequence numbers has none to lose.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        client_id: str,
        topic: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._kafka = kafka
        self._client_id = client_id
        self._topic = topic
        self._clock = clock
        self._producer: AIOKafkaProducer | None = None
        self._batches: dict[int, OutgoingBatch] = {}
        self._outstanding: set[asyncio.Future[Any]] = set()
        # Never more than there were batches at once: a few.
        self._spare: list[NDArray[np.uint8]] = []

    async def send(self, records: Records) -> None:
        """Take rows; full batches are sent, and waited for where one is on its way already.

        Raises:
            EmitError: The broker cannot be reached.
        """
        partitions = await self._partitions()
        chosen = partitions_of(records.keys, partitions)[records.key_rows]
        tails = tails_of(records)
        for partition in range(partitions):
            rows = np.flatnonzero(chosen == partition)
            while len(rows):
                batch = self._batches.get(partition)
                if batch is None:
                    batch = self._batches[partition] = OutgoingBatch(
                        int(self._clock() * 1000), self._spare
                    )
                rows = rows[batch.take(tails, rows) :]
                if len(rows):
                    await self._dispatch(partition)

    async def settle(self) -> None:
        """Send what is left, and wait until the broker has everything.

        Raises:
            EmitError: It does not have some of it; says why. What failed is forgotten here: the
                caller sends it again.
        """
        for partition in sorted(self._batches):
            await self._dispatch(partition)
        if not self._outstanding:
            return
        # A settlement that is cancelled leaves the batches to the next one.
        settled = set(self._outstanding)
        await asyncio.wait(settled)
        self._outstanding -= settled
        failures = [failure for future in settled if (failure := _failure(future)) is not None]
        if failures:
            raise EmitError(
                f"{len(failures)} batches of rows were not acknowledged: {failures[0]}."
            )

    def forget(self) -> None:
        """Drop what was taken and not sent: the caller takes its rows again."""
        self._batches.clear()

    async def close(self) -> None:
        """Close the connection; what is outstanding is given up."""
        producer, self._producer = self._producer, None
        self._batches.clear()
        for future in self._outstanding:
            # Nobody else would ever end them.
            future.cancel()
        self._outstanding.clear()
        if producer is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await producer.stop()
        except TimeoutError:
            log.warning("the connection of the rows was not closed in time")

    async def _dispatch(self, partition: int) -> None:
        producer = await self._connected()
        batch = self._batches.pop(partition)
        try:
            future = await producer.send_batch(batch, self._topic, partition=partition)
        except (KafkaError, AssertionError) as error:
            # It asserts that the partition exists, which the topic may have lost meanwhile.
            # Its sender may have ended: another one is made for what follows.
            await self.close()
            raise EmitError(f"Rows cannot be sent: {_told(error)}.") from error
        self._outstanding.add(future)

    async def _partitions(self) -> int:
        producer = await self._connected()
        try:
            async with asyncio.timeout(METADATA_SECONDS):
                return len(await producer.partitions_for(self._topic))
        except (KafkaError, TimeoutError) as error:
            await self.close()
            raise EmitError(
                f"The partitions of {self._topic} cannot be learnt: {_told(error)}."
            ) from error

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **aiokafka_settings(self._kafka),
                client_id=self._client_id,
                acks="all",
                request_timeout_ms=DELIVERY_TIMEOUT_MS,
            )
            try:
                await producer.start()
            except BaseException as error:
                await producer.stop()
                if isinstance(error, KafkaError):
                    raise EmitError(f"Kafka cannot be reached: {_told(error)}.") from error
                raise
            self._producer = producer
        return self._producer


def _failure(future: asyncio.Future[Any]) -> str | None:
    """Why a batch was not acknowledged; None where it was."""
    if future.cancelled():
        return "given up"
    error = future.exception()
    return None if error is None else _told(error)


def _told(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__
