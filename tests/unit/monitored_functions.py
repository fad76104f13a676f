"""Functions of every kind, to be monitored, and what they answer and raise."""

from collections.abc import AsyncIterator, Iterator

ANSWER = {"model": "m-1", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


class OverloadedError(Exception):
    """As clients raise it."""

    status_code = 529


def plain(a: int, b: int = 2) -> int:
    """The sum."""
    return a + b


async def coroutine(a: int, b: int = 2) -> int:
    """The sum."""
    return a + b


def generator(a: int, b: int = 2) -> Iterator[int]:
    """Both."""
    yield a
    yield b


async def async_generator(a: int, b: int = 2) -> AsyncIterator[int]:
    """Both."""
    yield a
    yield b
