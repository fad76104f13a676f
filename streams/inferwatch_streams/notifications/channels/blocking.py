"""Channels whose library blocks: threads of their own, so that a hanging one delays no other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from inferwatch_streams.daemon_thread import in_daemon_thread
from inferwatch_streams.notifications.message import FAILED, Answer

if TYPE_CHECKING:
    from inferwatch_streams.notifications.message import Message
    from inferwatch_streams.notifications.templates import Words

THREADS: Final = 4
# The library's own time limits come first, where it has any.
GRACE_SECONDS: Final = 1.0


class Sender(Protocol):
    """What a kind of channel says of its sending."""

    def send(self, message: Message, words: Words) -> Answer:
        """Send a message and tell what became of it; may block, raises nothing."""
        ...


class BlockingChannel:
    """Sends the messages of one channel in threads."""

    def __init__(self, sender: Sender, timeout_seconds: float) -> None:
        self._sender = sender
        self._timeout = timeout_seconds
        self._free = asyncio.Semaphore(THREADS)

    async def send(self, message: Message, words: Words) -> Answer:
        """Send a message, and tell what became of it.

        After a timeout the thread may still succeed: the next try is then a copy.
        """
        try:
            async with asyncio.timeout(self._timeout + GRACE_SECONDS):
                await self._free.acquire()
                answer = in_daemon_thread("notification", self._sender.send, message, words)
                # Also of one that is left alone, when it has ended.
                answer.add_done_callback(self._ended)
                return await asyncio.shield(answer)
        except TimeoutError:
            return Answer(FAILED, "timeout", f"not done within {self._timeout:g} s")

    def _ended(self, answer: asyncio.Future[Answer]) -> None:
        self._free.release()
        if not answer.cancelled():
            # Seen: where it was left alone, nobody asks for it any more.
            answer.exception()

    async def close(self) -> None:
        """What is under way ends by its own time limits, or with the process."""
