"""Work in a thread: its result, its error, and no end before its own."""

import asyncio
import threading

import pytest

from inferwatch_streams.leading.in_thread import in_thread


def test_it_returns_and_raises_what_the_function_does() -> None:
    """With its arguments."""
    assert asyncio.run(in_thread(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(in_thread(int, "x"))


def test_a_cancelled_task_waits_for_the_thread() -> None:
    """What a lock keeps others off is not given back while the thread still works on it."""
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        go_on.wait(20)
        done.append("thread")

    async def task() -> None:
        try:
            await in_thread(work)
        finally:
            done.append("task")

    async def case() -> None:
        running = asyncio.create_task(task())
        await asyncio.to_thread(begun.wait, 20)
        running.cancel()
        await asyncio.sleep(0.01)
        assert done == []
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert done == ["thread", "task"]

    asyncio.run(case())
