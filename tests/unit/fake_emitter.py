"""An emitter whose broker can hang, fail, and lose what was under way."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from shown_rows import headers_of

from inferwatch_schemas.errors import EmitError
from inferwatch_schemas.topics import AGGREGATES
from inferwatch_streams.rows.row_format import Records


class Sent(NamedTuple):
    """One record on its way."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]

    @property
    def identity(self) -> bytes:
        """Its CloudEvents id."""
        return dict(self.headers)["ce_id"]


@dataclass
class FakeEmitter:
    """In place of ``Emitter``.

    Attributes:
        outstanding: Sent and neither acknowledged nor failed.
        delivered: What the broker has.
        failures: How many of the next settlements fail, with everything outstanding lost.
        hangs: Whether the broker is silent.
        refuses: Topics whose records the client refuses.
        settlements: How many began.
    """

    outstanding: list[Sent] = field(default_factory=list)
    delivered: list[Sent] = field(default_factory=list)
    failures: int = 0
    hangs: bool = False
    refuses: frozenset[str] = frozenset()
    settlements: int = 0

    async def room(self) -> None:
        """See ``Emitter.room``."""
        await asyncio.sleep(0)

    def send(
        self, topic: str, key: bytes, value: bytes, headers: Iterable[tuple[str, bytes]]
    ) -> None:
        """See ``Emitter.send``."""
        if topic in self.refuses:
            raise EmitError("refused")
        self.outstanding.append(Sent(topic, key, value, list(headers)))

    async def settle(self) -> None:
        """See ``Emitter.settle``."""
        self.settlements += 1
        await asyncio.sleep(0)
        while self.hangs:  # noqa: ASYNC110  # a test may set it at any moment
            await asyncio.sleep(0.001)
        outstanding, self.outstanding = self.outstanding, []
        if self.failures:
            self.failures -= 1
            raise EmitError("not acknowledged")
        self.delivered += outstanding

    @property
    def rows(self) -> "FakeRowSender":
        """In place of ``RowSender``, with the same broker."""
        return FakeRowSender(self)

    def lose(self) -> None:
        """What is under way never arrives, and nobody is told."""
        self.outstanding.clear()

    def values(self, topic: str) -> list[bytes]:
        """What the broker has in a topic."""
        return [sent.value for sent in self.delivered if sent.topic == topic]


@dataclass(frozen=True)
class FakeRowSender:
    """In place of ``RowSender``: its rows are acknowledged, or not, with the emitter's records."""

    emitter: FakeEmitter

    async def send(self, records: Records) -> None:
        """See ``RowSender.send``."""
        await asyncio.sleep(0)
        for number in range(len(records)):
            self.emitter.send(
                AGGREGATES.name,
                records.key(number),
                records.values.row(number),
                headers_of(records.headers.row(number)).items(),
            )

    async def settle(self) -> None:
        """See ``RowSender.settle``."""
        await asyncio.sleep(0)

    def forget(self) -> None:
        """See ``RowSender.forget``: nothing waits here to be sent."""
