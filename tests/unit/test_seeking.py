"""Where reading begins after an assignment, while Kafka answers one client and not another."""

import asyncio
from typing import Any

import pytest
from faust.types.tuples import TP

from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_streams.transport.driver import Consumer
from inferwatch_streams.transport.starting_points import StartingPoint

AT = TP("t", 0)


class Thread:
    """In place of the consumer's: its group commits one more offset each time."""

    def __init__(self) -> None:
        self.asked = 0

    async def starting_points(self) -> dict[TP, StartingPoint]:
        """See ``ConsumerThread``."""
        self.asked += 1
        return {AT: StartingPoint(self.asked, "", 0, 9)}


class Processor:
    """One whose client hears nothing for a while."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def topic_ids(self, names: frozenset[str]) -> dict[str, str]:
        """See ``ChunkProcessor``."""
        self.failures -= 1
        if self.failures >= 0:
            raise KafkaUnavailableError("no answer")
        return dict.fromkeys(names, "id")


class Seeking(Consumer):
    """A consumer of these, of which nothing else is made."""

    def __init__(self, failures: int, *, stopping: bool = False) -> None:
        self._thread: Any = Thread()
        self._processor: Any = Processor(failures)
        self._stopping = stopping
        self.slept: list[float] = []

    @property
    def should_stop(self) -> bool:
        """See mode."""
        return self._stopping

    async def sleep(self, n: Any, **_: Any) -> None:
        """See mode."""
        self.slept.append(n)


def test_a_broker_that_does_not_answer_yet_ends_no_worker() -> None:
    """It is asked again, and what the group had committed is looked up anew each time."""
    consumer = Seeking(failures=2)
    found, ids = asyncio.run(consumer._found())  # noqa: SLF001  # Faust calls what calls it
    assert found == {AT: StartingPoint(3, "", 0, 9)}
    assert ids == {"t": "id"}
    assert len(consumer.slept) == 2


def test_a_worker_that_is_told_to_end_does_not_wait_for_it() -> None:
    """The error goes to who stops it."""
    with pytest.raises(KafkaUnavailableError):
        asyncio.run(Seeking(failures=1, stopping=True)._found())  # noqa: SLF001  # as above
