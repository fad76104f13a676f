"""Channels whose library blocks: threads of their own, so that a hanging one delays no other."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Protocol

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
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="notification")

    async def send(self, message: Message, words: Words) -> Answer:
        """Send a message, and tell what became of it.

        After a timeout the thread may still succeed: the next try is then a copy.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout + GRACE_SECONDS):
                return await loop.run_in_executor(self._threads, self._sender.send, message, words)
        except TimeoutError:
            return Answer(FAILED, "timeout", f"not done within {self._timeout:g} s")

    async def close(self) -> None:
        """Begin nothing more; what is under way ends by its own time limits."""
        self._threads.shutdown(wait=False, cancel_futures=True)
