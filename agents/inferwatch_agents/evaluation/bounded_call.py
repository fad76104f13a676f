"""One call of any function, given so long and no longer.

Coroutine functions run in the event loop, all others in a thread each: a thread that hangs cannot
be ended, and would otherwise hold up the loop, a pool of threads or the end of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from inferwatch_agents.error_types import class_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TIMEOUT: Final = "timeout"

Ended: TypeAlias = tuple[Any, BaseException | None]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call.

    Attributes:
        value: What it returned; None where it failed.
        error_type: ``timeout``, or the class of what it raised; None where it returned.
        reason: What it said of that.
        seconds: How long it took, or was waited for.
        hung: Whether it still runs.
    """

    value: Any
    error_type: str | None
    reason: str | None
    seconds: float
    hung: bool = False


class Caller:
    """Makes calls with one limit, and knows which have not ended."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
        """Prepare.

        Args:
            seconds: What a call is given. One that does not end then is told to (where it is a
                coroutine), and has the same again before it is left alone.
            clock: Measures calls, in seconds.
        """
        self._seconds = seconds
        self._clock = clock
        self._inside: set[object] = set()

    @property
    def inside(self) -> int:
        """Calls that have not ended; between runs, those that hang."""
        return len(self._inside)

    async def call(self, function: Callable[..., Any], *args: Any) -> Reply:
        """Call a function; whatever it raises is in the reply."""
        began = self._clock()
        if _is_coroutine_function(function):
            return await self._wait(self._task(function, args), began)
        reply = await self._wait(self._thread(function, args), began)
        if reply.error_type is None and inspect.isawaitable(reply.value):
            return await self._wait(self._task(_itself, (reply.value,)), began)
        return reply

    async def _wait(self, running: asyncio.Future[Ended], began: float) -> Reply:
        try:
            await asyncio.wait({running}, timeout=self._seconds - (self._clock() - began))
            seconds = self._clock() - began
            if not running.done():
                if isinstance(running, asyncio.Task):
                    running.cancel()
                await asyncio.wait({running}, timeout=self._seconds)
                said = f"no answer within {self._seconds:g} s"
                return Reply(None, TIMEOUT, said, seconds, hung=not running.done())
        except asyncio.CancelledError:
            running.cancel()
            raise
        if running.cancelled():
            return Reply(None, class_name(asyncio.CancelledError), "it was cancelled", seconds)
        value, error = running.result()
        if error is None:
            return Reply(value, None, None, seconds)
        return Reply(None, class_name(type(error)), str(error), seconds)

    def _task(
        self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]
    ) -> asyncio.Future[Ended]:
        task = asyncio.ensure_future(_ended(function, args))
        self._inside.add(task)
        task.add_done_callback(self._inside.discard)
        return task

    def _thread(self, function: Callable[..., Any], args: tuple[Any, ...]) -> asyncio.Future[Ended]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ended] = loop.create_future()
        context = contextvars.copy_context()

        def settle(ended: Ended) -> None:
            if not future.done():
                future.set_result(ended)

        def run() -> None:
            ended: Ended
            try:
                ended = context.run(function, *args), None
            except BaseException as error:  # noqa: BLE001  # also SystemExit is the model's failure, and is told
                ended = None, error
            self._inside.discard(future)
            # Where the loop has been closed meanwhile, nobody waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, ended)

        self._inside.add(future)
        threading.Thread(target=run, name="inferwatch-evaluation-call", daemon=True).start()
        return future


async def _ended(function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Ended:
    try:
        return await function(*args), None
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it is, it is the model's failure, and is told
        return None, error


async def _itself(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    if not (inspect.isroutine(function) or isinstance(function, functools.partial | type)):
        function = type(function).__call__
    return inspect.iscoroutinefunction(function)
