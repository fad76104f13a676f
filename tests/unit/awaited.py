"""What asynchronous cases wait for."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the case's limit is the deadline."""
    while not condition():  # noqa: ASYNC110  # any condition
        await asyncio.sleep(0.001)


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
