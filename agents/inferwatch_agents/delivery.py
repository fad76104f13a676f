"""Takes events from callers at once and gives them to Kafka in a thread: never waits, never raises.

    caller -> intake -> thread: meters, backlog -> Kafka's client -> broker

Each of the three stores is bounded. While Kafka is away the client and then the backlog fill up,
and the newest events are dropped and counted; the meters go on counting all of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import secrets
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from inferwatch_agents.ends import Ends
from inferwatch_agents.event_queue import Backlog, Intake, Room
from inferwatch_agents.outcomes import QUEUE_FULL, UNSENT_AT_EXIT
from inferwatch_agents.sender import ASK_SECONDS
from inferwatch_schemas.instants import now_micros

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_agents.event_queue import Draft, Event
    from inferwatch_agents.outcomes import Faults, Outcomes
    from inferwatch_agents.sender import Sender
    from inferwatch_agents.spool import Spool

# How often the thread looks for events. Callers do not wake it: that would cost them more than all
# the rest, and make two threads fight for the interpreter at each event.
INTERVAL_SECONDS: Final = 0.05
# A busy service fills the intake sooner; then the caller does wake it.
WAKE_EVENTS: Final = 1000
# A fork waits so long for the thread to be where no lock is held.
FORK_SECONDS: Final = 1.0
# What an end takes to be told of, roughly.
END_BYTES: Final = 1000
# What closing takes besides.
CLOSING_SECONDS: Final = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """What may wait, and how long the end may take.

    Attributes:
        queue_events: Events in each of intake, backlog and Kafka's client.
        queue_bytes: Bytes, roughly, in each of them.
        flush_seconds: How long the end of the process may wait for Kafka.
    """

    queue_events: int = 10_000
    queue_bytes: int = 16 * 1024 * 1024
    flush_seconds: float = 5.0

    def room(self) -> Room:
        """Room of one store."""
        return Room(self.queue_events, self.queue_bytes)


class Delivery:
    """One process's way to Kafka; a forked child gets one of its own, under another producer id.

    Attributes:
        settings: What may wait.
        producer_id: Names this process in its events.
        outcomes: What became of events.
        faults: What failed inside.
    """

    def __init__(  # noqa: PLR0913  # the parts it is made of
        self,
        settings: DeliverySettings,
        make_sender: Callable[[str], Sender],
        outcomes: Outcomes,
        faults: Faults,
        observe: Callable[[list[Event], float], None],
        *,
        spool: Spool,
    ) -> None:
        """Make Kafka's client; ``start`` starts the thread.

        Args:
            settings: What may wait.
            make_sender: Makes the sender of a producer id.
            outcomes: Counts what became of events.
            faults: Counts what failed inside.
            observe: Called by the thread with each event once, dropped later or not, and with the
                time of ``time.monotonic``; also without events.
            spool: Keeps numbers for after a death.

        Raises:
            PublishError: Kafka's client refuses its settings.
        """
        self.outcomes = outcomes
        self.faults = faults
        self.settings = settings
        self._make_sender = make_sender
        self._observe = observe
        self._spool = spool
        # Held while the thread may hold a lock of others; a fork takes it first.
        self._forkable = threading.Lock()
        # Threads that hold it for a fork; several may fork at once.
        self._forking: set[int] = set()
        self._reset()
        self._sender.open()
        _deliveries.add(self)

    def _reset(self) -> None:
        self.producer_id = secrets.token_hex(8)
        self._ends = Ends(
            self._spool, self.producer_id, self.outcomes, self.faults,
            lambda schema, record, at: self.emit(schema, record, END_BYTES, at),
        )  # fmt: skip
        self._intake = Intake(self.settings.room(), self._ends.numbers)
        self._backlog = Backlog(self.settings.room())
        self._sender = self._make_sender(self.producer_id)
        # Unlike an Event, it can be put into while it is being put into, as by a finaliser.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._idle = threading.Condition()
        self._rounds = 0
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Start the thread, where it does not run."""
        if self._starting.acquire(blocking=False):
            try:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="inferwatch", daemon=True)
                    thread.start()
                    self._thread = thread
            finally:
                self._starting.release()

    def emit(
        self, schema: str, content: Mapping[str, Any] | Draft, size: int, at: int | None = None
    ) -> None:
        """Take an event; it is sent later, or dropped and counted.

        Args:
            schema: Name of its schema.
            content: A dictionary of all fields but the event header, or what makes it.
            size: Bytes that it takes in memory, roughly.
            at: Microseconds since 1970 (UTC); now when None.
        """
        waiting = self._intake.put(schema, content, size, at or now_micros())
        if waiting == WAKE_EVENTS:
            self._wake.put(None)
        if self._thread is None:
            # After a fork: threads are not inherited, and a child that sends nothing needs none.
            self.start()

    def is_sending_here(self) -> bool:
        """Whether it is the thread that sends which asks."""
        thread = self._thread
        return thread is not None and thread.ident == threading.get_ident()

    def flush(self, seconds: float) -> bool:
        """Wait until what was emitted before is acknowledged or lost; False if time ran out."""
        if self._thread is None:
            # In a child that has emitted nothing.
            return True
        deadline = time.monotonic() + seconds
        with self._idle:
            # The round in progress may have begun before the last event.
            target = self._rounds + 2
            while self._rounds < target or self._backlog or self._sender_waits():
                left = deadline - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    return False
                if self._rounds < target:
                    self._wake.put(None)
                self._idle.wait(min(left, INTERVAL_SECONDS))
        return True

    def close(self) -> None:
        """Send what waits, for so long at most as the settings say, and end the thread."""
        thread = self._thread
        if thread is None or self._deadline is not None:
            return
        self._deadline = time.monotonic() + self.settings.flush_seconds
        self._wake.put(None)
        # The thread keeps to the deadline, but for one look at a broker that does not answer.
        thread.join(self.settings.flush_seconds + ASK_SECONDS + CLOSING_SECONDS)

    def _sender_waits(self) -> bool:
        producer = self._sender.producer
        return producer is not None and len(producer) > 0

    def _run(self) -> None:
        # At once, for a process that ends soon.
        self._guarded(self._look)
        while self._deadline is None:
            with contextlib.suppress(queue.Empty):
                self._wake.get(timeout=INTERVAL_SECONDS)
            self._round()
        self._finish(self._deadline)

    def _round(self) -> None:
        self._guarded(self._take)
        self._guarded(self._send)
        self._guarded(self._look)
        self._guarded(self._tell)
        with self._idle:
            self._rounds += 1
            self._idle.notify_all()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001  # the thread outlives any defect, which is told
            self.faults.note(f"delivery {step.__name__}", error)

    def _take(self) -> None:
        with self._forkable:
            events, dropped = self._intake.take()
            for event in events:
                if not self._backlog.add(event):
                    dropped[event.schema] += 1
            for schema, count in dropped.items():
                self.outcomes.drop(schema, QUEUE_FULL, count)
            self._observe(events, time.monotonic())

    def _send(self) -> None:
        self._sender.look()
        with self._forkable:
            more = self._sender.send(self._backlog)
        if self._sender.wants():
            self._sender.look()
            more = True
        while more:
            with self._forkable:
                more = self._sender.send(self._backlog)

    def _look(self) -> None:
        with self._forkable:
            idle = not self._backlog and self._deadline is None
            self._ends.look(time.monotonic(), idle=idle)

    def _tell(self) -> None:
        with self._forkable:
            self._sender.tell()
            self.faults.tell()

    def _finish(self, deadline: float) -> None:
        self._round()
        while self._backlog and time.monotonic() < deadline:
            time.sleep(INTERVAL_SECONDS)
            self._round()
        unsent = self._drain(deadline)
        if not unsent:
            self._guarded(self._tell_end)
            unsent = self._drain(deadline)
        self._guarded(self._ends.close)
        for event in self._backlog:
            self.outcomes.drop(event.schema, UNSENT_AT_EXIT)
        if unsent:
            self._guarded(lambda: log.warning("inferwatch ends with events unsent", events=unsent))

    def _drain(self, deadline: float) -> int:
        return self._sender.flush(deadline - time.monotonic()) + len(self._backlog)

    def _tell_end(self) -> None:
        if self._ends.finish():
            self._take()
            self._send()

    def before_fork(self) -> None:
        """Wait until the thread holds no lock that the child would inherit as held for ever."""
        if self._forkable.acquire(timeout=FORK_SECONDS):
            self._forking.add(threading.get_ident())

    def after_fork_in_parent(self) -> None:
        """Let the thread go on."""
        if threading.get_ident() in self._forking:
            self._forking.discard(threading.get_ident())
            self._forkable.release()

    def after_fork_in_child(self) -> None:
        """Start anew: what waits is the parent's to send, under the parent's numbers."""
        self._forkable = threading.Lock()
        self._forking = set()
        producer = self._sender.producer
        if producer is not None:
            # Its threads are the parent's. Freeing it would wait for them for ever, so that
            # neither the child's garbage collector nor its end may do so.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(producer))
        closed = self._deadline is not None
        self._ends.leave()
        self._reset()
        if closed:
            self._deadline = 0.0


_deliveries: weakref.WeakSet[Delivery] = weakref.WeakSet()


def _before_fork() -> None:
    for delivery in list(_deliveries):
        delivery.before_fork()


def _after_fork_in_parent() -> None:
    for delivery in list(_deliveries):
        delivery.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for delivery in list(_deliveries):
        delivery.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
