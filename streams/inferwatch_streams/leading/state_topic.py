"""The state of a role as its compacted topic: claimed, read, written by its one leader, watched."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from inferwatch_schemas.emitter import Emitter
from inferwatch_schemas.errors import EmitError, EncodeError, SchemasError, UnknownSchemaError
from inferwatch_schemas.wire import Encoder, cloudevents_headers
from inferwatch_streams.errors import SupersededError, TakeOverError
from inferwatch_streams.leading import metrics
from inferwatch_streams.leading.fence import CLAIM_KEY, EPOCH_HEADER
from inferwatch_streams.leading.follower import CLAIM_HEADER, Follower, read_to_claim
from inferwatch_streams.leading.state_record import StateRecord, named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry
    from inferwatch_schemas.topics import Topic

log = structlog.get_logger(__name__)

#: Kafka headers of a claim that say to people who made it.
MEMBER_HEADER: Final = "inferwatch_member"
ROLE_HEADER: Final = "inferwatch_role"
#: Of the largest record, for key, headers and the batch around it.
ROOM_BYTES: Final = 16 * 1024


class StateTopic:
    """One state topic (one partition), as the leader of a role has it.

    Used from the event loop. After ``take_over`` a thread of its own follows the topic: it notices
    the claim of another, and a record of a replaced leader that came last of its key. Compaction
    would leave only that one, which counts for nobody, so ``settle`` writes the key again.

    After a ``SupersededError`` nothing more is written; ``take_over`` begins anew.
    """

    def __init__(  # noqa: PLR0913  # the last has a default
        self,
        kafka: KafkaSettings,
        registry: Registry,
        topic: Topic,
        role: str,
        emitter: Emitter | None = None,
        *,
        take_over_seconds: float = 30.0,
    ) -> None:
        """Look up the topic's schemas.

        Args:
            kafka: How to reach the broker.
            registry: Where schemas come from.
            topic: The topic.
            role: Who leads, for people who look at claims, and the records' source.
            emitter: Sends; one of its own when None.
            take_over_seconds: How long claiming and reading may take.

        Raises:
            SchemasError: The registry does not answer, or does not know the schemas.
        """
        self._kafka = kafka
        self._registry = registry
        self._topic = topic
        self._role = role
        self._emitter = emitter or Emitter(kafka, f"inferwatch-{role}")
        self._take_over_seconds = take_over_seconds
        self._most_bytes = int(topic.config()["max.message.bytes"]) - ROOM_BYTES
        self._encoders = {name: Encoder(name, registry) for name in topic.schemas}
        self._newest: dict[str, bytes] = {}
        self._follower: Follower | None = None

    @property
    def epoch(self) -> int:
        """Offset of our claim.

        Raises:
            SupersededError: There is none, or a newer one.
        """
        return self._leading().own

    @property
    def leads(self) -> bool:
        """Whether the newest claim, as far as it was read, is ours."""
        return self._follower is not None and self._follower.why_not is None

    def check(self) -> None:
        """Make sure that we lead.

        Raises:
            SupersededError: We do not; says why.
        """
        self._leading()

    def _leading(self) -> Follower:
        follower = self._follower
        if follower is None:
            raise SupersededError(f"{self._topic.name} was not taken over.")
        if follower.why_not is not None:
            metrics.SUPERSEDED.labels(self._topic.name).inc()
            self._leave()
            raise SupersededError(follower.why_not)
        return follower

    async def take_over(self) -> Sequence[StateRecord]:
        """Claim the topic and read it: the newest record of each key that counts, in log order.

        Raises:
            TakeOverError: It did not succeed in time; says why. It may be tried again.
        """
        self._leave()
        claim = secrets.token_hex(8)
        deadline = time.monotonic() + self._take_over_seconds
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._take_over_seconds):
                self._emitter.send(
                    self._topic.name,
                    CLAIM_KEY.encode(),
                    None,
                    [
                        (CLAIM_HEADER, claim.encode()),
                        (MEMBER_HEADER, socket.gethostname().encode()),
                        (ROLE_HEADER, self._role.encode()),
                    ],
                )
                await self._emitter.settle()
            follower = await asyncio.to_thread(
                read_to_claim, self._kafka, self._topic.name, claim, deadline
            )
        except (TimeoutError, SchemasError) as error:
            why = str(error) or f"no answer within {self._take_over_seconds:g} s"
            raise TakeOverError(f"{self._topic.name} was not taken over: {why}") from error
        try:
            records = [
                found
                for key, (offset, value) in follower.newest.items()
                if (found := self._decoded(key, offset, value)) is not None
            ]
        except SchemasError as error:
            follower.close()
            raise TakeOverError(f"{self._topic.name} was not taken over: {error}") from error
        self._newest = {key: value for key, (_, value) in follower.newest.items()}
        follower.newest = {}
        self._follower = follower
        follower.start()
        metrics.CLAIMS.labels(self._topic.name).inc()
        metrics.LEADS.labels(self._topic.name).set(1)
        log.info(
            "took over", topic=self._topic.name, role=self._role, epoch=follower.own,
            keys=len(records), seconds=round(time.monotonic() - started, 3),
        )  # fmt: skip
        return records

    def _decoded(self, key: str, offset: int, value: bytes) -> StateRecord | None:
        try:
            schema, record = named(value, self._registry)
        except (ValueError, UnknownSchemaError) as error:
            metrics.UNUSABLE.labels(self._topic.name).inc()
            log.error(  # noqa: TRY400  # the record is at fault, not the code
                "a record of the state cannot be used", topic=self._topic.name, key=key,
                offset=offset, error=str(error),
            )  # fmt: skip
            return None
        return StateRecord(key, offset, schema, record)

    def append(self, key: str, schema: str, record: Mapping[str, Any] | None) -> None:
        """Write the new state of a key, or remove it; its ``epoch`` is set here.

        A key is written once at most between two calls of ``settle``: what is under way at the same
        time may arrive in any order.

        Args:
            key: The record's key.
            schema: Its schema's name, one of the topic's.
            record: What it says; None removes the key.

        Raises:
            SupersededError: We do not lead, or the client refuses the record.
            EncodeError: It does not fit the schema, or a record; nothing was written.
        """
        epoch = self.epoch
        value = (
            None if record is None else self._encoders[schema].encode({**record, "epoch": epoch})
        )
        if value is not None and len(value) > self._most_bytes:
            # The broker would refuse it, and whoever takes over after that would write it again.
            raise EncodeError(f"{schema} {key} has {len(value)} bytes, too many for a record.")
        self._send(key, schema, value)
        if value is None:
            self._newest.pop(key, None)
        else:
            self._newest[key] = value

    def _send(self, key: str, schema: str, value: bytes | None) -> None:
        headers = [
            *cloudevents_headers(schema, secrets.token_hex(8), f"inferwatch/{self._role}"),
            (EPOCH_HEADER, str(self.epoch).encode()),
        ]
        try:
            self._emitter.send(self._topic.name, key.encode(), value, headers)
        except EmitError as error:
            self._give_up(error)

    async def settle(self) -> None:
        """Wait until the broker has everything; to be called about once a second in any case.

        Raises:
            SupersededError: We do not lead, or the broker may not have a record. What became of it
                is known when the topic was taken over anew: a delayed copy then counts no more.
        """
        for key in self._leading().take_outdone():
            metrics.REPAIRS.labels(self._topic.name).inc()
            self._write_again(key)
        try:
            await self._emitter.settle()
        except EmitError as error:
            self._give_up(error)
        self.check()

    def _write_again(self, key: str) -> None:
        value = self._newest.get(key)
        if value is None:
            self._send(key, self._topic.schemas[0], None)
            return
        try:
            schema, record = named(value, self._registry)
            self.append(key, schema, record)
        except (ValueError, SchemasError):
            # It was loaded, and is of no use here; of a newer version it may be one.
            self._send(key, self._topic.schemas[0], value)

    def _give_up(self, error: EmitError) -> None:
        metrics.SUPERSEDED.labels(self._topic.name).inc()
        self._leave()
        raise SupersededError(f"{self._topic.name} has to be taken over anew: {error}") from error

    def _leave(self) -> None:
        if self._follower is not None:
            self._follower.stop()
            self._follower = None
        metrics.LEADS.labels(self._topic.name).set(0)

    def close(self) -> None:
        """Lead no more."""
        self._leave()
