"""Plays events to a publisher, at their own pace or as fast as the broker takes them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from inferwatch_schemas.topics import topic_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from inferwatch.traces.events import TraceEvent

MICROS: Final = 1_000_000
# A longer wait is cut into these, so that a stop is obeyed and progress shown meanwhile.
NAP_SECONDS: Final = 0.1
PROGRESS_SECONDS: Final = 0.1


class Publishes(Protocol):
    """What a replay needs of ``inferwatch_agents.publisher.Publisher``."""

    failed: int

    def publish(self, schema: str, record: dict[str, Any], *, event_time_micros: int) -> None:
        """See ``Publisher.publish``."""

    def poll(self) -> None:
        """See ``Publisher.poll``."""

    def flush(self, timeout: float) -> None:
        """See ``Publisher.flush``."""


@dataclass(frozen=True, slots=True)
class Played:
    """What a replay did.

    Attributes:
        events: Events sent, by topic.
        seconds: How long it took, with waiting for the broker's acknowledgements.
        stopped: Whether it was stopped before the last event.
    """

    events: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    stopped: bool = False


def replay(  # noqa: PLR0913  # the last five are seams with defaults
    events: Iterable[TraceEvent],
    publisher: Publishes,
    *,
    speed: float | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    stopped: Callable[[], bool] = lambda: False,
    on_progress: Callable[[int], object] = lambda _sent: None,
    flush_seconds: float = 60.0,
) -> Played:
    """Publish events with their own event times, then wait until the broker has them.

    The first event goes at once, and each other when ``(its time - the first's) / speed`` has
    passed; one that is out of order goes as soon as its turn comes.

    Args:
        events: In the order in which they go.
        publisher: Takes them.
        speed: 1 for the trace's own pace, more for faster; None to wait for nothing but the broker.
        clock: Monotonic, in seconds.
        sleep: Waits that many seconds.
        stopped: Asked between events; True ends the replay.
        on_progress: Told how many events were sent, about ten times a second.
        flush_seconds: How long the broker may take to acknowledge the last events.

    Raises:
        TraceError: A row is malformed; what was before it has been sent.
        PublishError: The broker did not take an event.
        SchemasError: An event does not fit its schema, or the registry does not know that.
    """
    began = clock()
    sent: Counter[str] = Counter()
    total = 0
    reported = began
    first: int | None = None
    ended = False

    def waited_until(due: float) -> bool:
        """Wait, and say whether the replay goes on."""
        while not stopped():
            left = due - clock()
            if left <= 0:
                return True
            publisher.poll()
            on_progress(total)
            sleep(min(left, NAP_SECONDS))
        return False

    try:
        for event in events:
            first = event.event_time_micros if first is None else first
            offset = (event.event_time_micros - first) / MICROS
            if not waited_until(began if speed is None else began + offset / speed):
                ended = True
                break
            publisher.publish(event.schema, event.record, event_time_micros=event.event_time_micros)
            sent[event.schema] += 1
            total += 1
            now = clock()
            if now - reported >= PROGRESS_SECONDS:
                reported = now
                on_progress(total)
                if publisher.failed:
                    break
    finally:
        publisher.flush(flush_seconds)
    on_progress(total)
    by_topic = Counter({topic_of(schema).name: count for schema, count in sent.items()})
    return Played(by_topic, clock() - began, ended)
