"""When a message is tried again: exponential backoff with full jitter, and the channel's own wish.

Full jitter as in https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inferwatch_streams.notifications.message import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_streams.notifications.message import Answer

BASE_SECONDS: Final = 0.5
MAX_SECONDS: Final = 30.0
MAX_EXPONENT: Final = 16


def seconds_to_next(
    answer: Answer, attempts: int, left: float, random: Callable[[float, float], float]
) -> float | None:
    """Seconds to the next attempt; None where there is to be none.

    Args:
        answer: What the last attempt led to.
        attempts: How many were made.
        left: Seconds within which the next has to begin.
        random: A number between two.
    """
    if answer.outcome != FAILED:
        return None
    most = min(MAX_SECONDS, BASE_SECONDS * 2 ** min(attempts, MAX_EXPONENT))
    wait = random(0.0, most)
    if answer.wait_seconds is not None:
        # Never before the time asked for, and not all at that time.
        wait += answer.wait_seconds
    return None if wait > left else wait
