"""Functions that may never return, each in a thread that keeps no process from ending."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def in_daemon_thread(name: str, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
    """Run a function in a thread of its own; the threads of an executor would be waited for.

    Args:
        name: Of the thread.
        function: It.
        arguments: What it is given.

    Returns:
        What becomes of it: also of what no future takes, such as SystemExit, as a RuntimeError.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            value = function(*arguments)
        except BaseException as error:  # noqa: BLE001  # it is raised where the answer is awaited
            _tell(loop, answer, partial(answer.set_exception, _plain(error)))
        else:
            _tell(loop, answer, partial(answer.set_result, value))

    threading.Thread(target=run, name=name, daemon=True).start()
    return answer


def _tell(
    loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any], tell: Callable[[], None]
) -> None:
    def unless_done() -> None:
        if not answer.done():
            tell()

    # The loop may have ended meanwhile.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(unless_done)


def _plain(error: BaseException) -> Exception:
    # A future takes no StopIteration, and SystemExit would end the process.
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(repr(error))
