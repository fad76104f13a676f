"""Events between the caller, who must never wait, and the thread that sends them.

An event gets its sequence number when it is made, also one that finds no room: so whoever reads the
topic sees by the gap how many were lost.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from inferwatch_agents.tally import Numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Draft(Protocol):
    """An event whose record is made later, by the thread that sends it."""

    def record(self) -> Mapping[str, Any]:
        """All fields except event_id, producer_id, sequence and event_time."""
        ...


class Event(NamedTuple):
    """One event that was made.

    Attributes:
        schema: Name of its schema.
        content: Its record, or what makes it.
        size: Bytes that it takes in memory, roughly.
        sequence: Its number among this producer's events of the schema.
        at: Microseconds since 1970 (UTC).
    """

    schema: str
    content: Mapping[str, Any] | Draft
    size: int
    sequence: int
    at: int


@dataclass(frozen=True, slots=True)
class Room:
    """How much may wait.

    Attributes:
        events: Events at most.
        size: Bytes at most, roughly.
    """

    events: int
    size: int


class Intake:
    """Takes events from any thread, for one thread to take out.

    A caller may come in again while it is inside: a signal handler or a finaliser that the garbage
    collector runs may end a call at any instruction. Hence a lock that its holder may take again,
    and numbers that no instruction can interrupt.

    Args:
        room: What may wait.
        numbers: Numbers of a schema, asked for once.
    """

    def __init__(
        self, room: Room, numbers: Callable[[str], Numbers] = lambda _schema: Numbers()
    ) -> None:
        self._room = room
        self._numbers_of = numbers
        self._lock = threading.RLock()
        self._events: list[Event] = []
        self._size = 0
        self._sequences: dict[str, Numbers] = {}
        self._dropped: Counter[str] = Counter()

    def put(self, schema: str, content: Mapping[str, Any] | Draft, size: int, at: int) -> int:
        """Number an event and keep it, or drop it where there is no room.

        Args:
            schema: Name of its schema.
            content: Its record, or what makes it.
            size: Bytes that it takes in memory, roughly.
            at: Microseconds since 1970 (UTC).

        Returns:
            How many events wait now; 0 where this one was dropped.
        """
        with self._lock:
            numbers = self._sequences.get(schema)
            if numbers is None:
                numbers = self._sequences.setdefault(schema, self._numbers_of(schema))
            sequence = numbers.take()
            events = self._events
            if len(events) >= self._room.events or self._size + size > self._room.size:
                self._dropped[schema] += 1
                return 0
            self._size += size
            events.append(Event(schema, content, size, sequence, at))
            return len(events)

    def take(self) -> tuple[list[Event], Counter[str]]:
        """All events that wait, in the order they came, and by schema how many were dropped."""
        with self._lock:
            events, self._events = self._events, []
            dropped, self._dropped = self._dropped, Counter()
            self._size = 0
        return events, dropped


class Backlog:
    """Events that wait for Kafka, oldest first; belongs to the thread that sends them."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._events: deque[Event] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def add(self, event: Event) -> bool:
        """Keep an event; False where there is no room, and it is dropped."""
        if len(self._events) >= self._room.events or self._size + event.size > self._room.size:
            return False
        self._events.append(event)
        self._size += event.size
        return True

    def first(self) -> Event:
        """The event that waits longest.

        Raises:
            IndexError: None waits.
        """
        return self._events[0]

    def pop(self) -> None:
        """Let the first go: Kafka's client has it, or nobody will.

        Raises:
            IndexError: None waits.
        """
        self._size -= self._events.popleft().size
