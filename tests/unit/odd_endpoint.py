"""A local endpoint that answers as it is told: late, never, wrongly, or not at all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class OddEndpoint:
    """Answers each request with the next of its replies, and the last one from then on.

    Attributes:
        replies: What to do with each request.
        requests: Head and body of each request.
        port: Where it listens.
    """

    replies: list[Reply]
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Its address, with a secret in it."""
        return f"http://127.0.0.1:{self.port}/hush"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request on a connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1])
            for line in head.splitlines()
            if line.lower().startswith("content-length:")
        )
        self.requests.append((head, await reader.readexactly(length)))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        try:
            await reply(writer)
        finally:
            writer.close()


@asynccontextmanager
async def serving(*replies: Reply) -> AsyncIterator[OddEndpoint]:
    """Run one, and break off whoever still waits at the end."""
    endpoint = OddEndpoint(list(replies))
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(endpoint.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    endpoint.port = server.sockets[0].getsockname()[1]
    try:
        yield endpoint
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(status: int, body: str = "", *headers: str) -> Reply:
    """Answer with a status, a body and headers."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        lines = (f"HTTP/1.1 {status} odd", f"Content-Length: {len(body)}", *headers, "", body)
        writer.write("\r\n".join(lines).encode())
        await writer.drain()

    return reply


def writing(data: bytes) -> Reply:
    """Write these bytes, whatever they are, and close the connection."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return reply


async def hanging(writer: asyncio.StreamWriter) -> None:
    """Begin an answer and never end it."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    while True:
        writer.write(b".")
        await asyncio.sleep(0.01)
