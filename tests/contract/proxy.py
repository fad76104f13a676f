"""A TCP proxy that can refuse, hang, or cut the answer off: what a network does to ClickHouse."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from enum import Enum
from typing import Any, Self

from inferwatch.embedded.processes import LOOPBACK

PIECE_BYTES = 1 << 16
POLL_SECONDS = 0.02


class Mode(Enum):
    """What becomes of a connection."""

    FORWARD = "both ways are forwarded"
    REFUSE = "it is closed at once"
    HANG = "it is held open, and nothing is forwarded"
    CUT = "the request is forwarded, and the connection closed when the answer comes"


class Proxy:
    """Listens on a free loopback port, in a thread of its own; use it as a context manager.

    Attributes:
        mode: What it does now, also to the connections that are open.
        port: Where it listens.
        refused: Connections that were closed at once.
        hung: Requests that were held.
        cut: Answers that were cut off.
    """

    def __init__(self, target_port: int) -> None:
        self.mode = Mode.FORWARD
        self.port = 0
        self.refused = self.hung = self.cut = 0
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        server = self._call(asyncio.start_server(self._serve, LOOPBACK, 0))
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _close(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        try:
            if self.mode is Mode.REFUSE:
                self.refused += 1
                return
            answers, upstream = await asyncio.open_connection(LOOPBACK, self._target_port)
            # Either way may end the connection.
            ways = [
                asyncio.ensure_future(self._forward_requests(reader, upstream)),
                asyncio.ensure_future(self._forward_answers(answers, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            # ClickHouse is not there: the client's connection ends, as it would without a proxy.
            self.refused += 1
        finally:
            for end in (writer, upstream):
                if end is not None:
                    end.transport.abort()
                    with contextlib.suppress(OSError):
                        await end.wait_closed()

    async def _forward_requests(
        self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter
    ) -> None:
        while piece := await reader.read(PIECE_BYTES):
            if self.mode is Mode.REFUSE:
                self.refused += 1
                return
            if self.mode is Mode.HANG:
                self.hung += 1
                while self.mode is Mode.HANG:  # noqa: ASYNC110 -- the mode is set by other threads
                    await asyncio.sleep(POLL_SECONDS)
                return
            upstream.write(piece)
            await upstream.drain()

    async def _forward_answers(
        self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while piece := await answers.read(PIECE_BYTES):
            if self.mode is Mode.CUT:
                self.cut += 1
                return
            writer.write(piece)
            await writer.drain()
