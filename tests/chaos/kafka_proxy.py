"""A TCP proxy before a Kafka broker that loses what a producer sends, or what it is answered."""

import asyncio
import contextlib
import struct
import threading
from collections.abc import Coroutine
from enum import Enum
from typing import Any, Self

from inferwatch.embedded.processes import LOOPBACK

PRODUCE = 0
SIZE = struct.Struct(">i")
REQUEST = struct.Struct(">hhi")
# A broker's address in its answers, where clients find out whom to ask: as a string of either
# encoding (Kafka protocol guide, "STRING" and "COMPACT_STRING"), and a port.
ADDRESSES = tuple(length + LOOPBACK.encode() for length in (b"\0\x09", b"\x0a"))


class Loss(Enum):
    """What is lost of a producer's requests; nothing later passes on that connection, as in TCP."""

    NOTHING = "all is forwarded"
    REQUESTS = "the broker does not get them"
    ANSWERS = "the broker stores, and nobody hears of it"
    CONNECTION = "the broker stores, and the connection ends in place of the answer"


class _Connection:
    """One connection of a client: its two ends, and which requests are a producer's."""

    def __init__(self, client: asyncio.StreamWriter, broker: asyncio.StreamWriter) -> None:
        self.client = client
        self.broker = broker
        self.produced: set[int] = set()
        self.dead = False


class KafkaProxy:
    """Listens on a free loopback port, in a thread of its own; use it as a context manager.

    Attributes:
        loss: What is lost now.
        port: Where it listens.
        losses: Requests, answers and connections that were lost.
    """

    def __init__(self, broker_port: int) -> None:
        self.loss = Loss.NOTHING
        self.port = 0
        self.losses = 0
        self._broker_port = broker_port
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, LOOPBACK, 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def heal(self) -> None:
        """Lose nothing more, and end the connections on which something was lost."""
        self.loss = Loss.NOTHING
        self._call(self._end_dead())

    async def _end_dead(self) -> None:
        for connection in self._connections:
            if connection.dead:
                connection.client.transport.abort()

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _close(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, upstream = await asyncio.open_connection(LOOPBACK, self._broker_port)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(writer, upstream)
        self._connections.add(connection)
        try:
            ways = [
                asyncio.ensure_future(self._forward_requests(reader, connection)),
                asyncio.ensure_future(self._forward_answers(answers, connection)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._connections.discard(connection)
            for end in (writer, upstream):
                end.transport.abort()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _forward_requests(self, reader: asyncio.StreamReader, ends: _Connection) -> None:
        while True:
            frame = await _read_frame(reader)
            key, _, number = REQUEST.unpack_from(frame)
            if key == PRODUCE:
                ends.produced.add(number)
                if self.loss is Loss.REQUESTS:
                    self.losses += 1
                    ends.dead = True
            if not ends.dead:
                ends.broker.write(SIZE.pack(len(frame)) + frame)
                await ends.broker.drain()

    async def _forward_answers(self, answers: asyncio.StreamReader, ends: _Connection) -> None:
        here = SIZE.pack(self.port)
        there = SIZE.pack(self._broker_port)
        while True:
            frame = await _read_frame(answers)
            (number,) = SIZE.unpack_from(frame)
            if number in ends.produced:
                ends.produced.discard(number)
                if self.loss in (Loss.ANSWERS, Loss.CONNECTION):
                    self.losses += 1
                    ends.dead = True
                if self.loss is Loss.CONNECTION:
                    return
            if ends.dead:
                continue
            for address in ADDRESSES:
                frame = frame.replace(address + there, address + here)
            ends.client.write(SIZE.pack(len(frame)) + frame)
            await ends.client.drain()


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
    return await reader.readexactly(size)
