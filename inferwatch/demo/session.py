"""One run of a demo: load and sampler go, the view moves, the end is orderly."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from rich.console import Console
from rich.live import Live

from inferwatch import replaying
from inferwatch.demo import view
from inferwatch.demo.meters import arrived
from inferwatch.demo.program import Program
from inferwatch.demo.stack import Stack
from inferwatch.traces.events import TraceEvent
from inferwatch_agents.errors import PublishError
from inferwatch_agents.host.agent import HostAgent
from inferwatch_agents.host.nvml import PynvmlLibrary
from inferwatch_agents.host.settings import AgentSettings
from inferwatch_agents.publisher import Publisher
from inferwatch_clickhouse import alerting, queries
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.errors import ClickHouseUnavailableError
from inferwatch_schemas.registry import open_registry

TICK_SECONDS: Final = 1.0
PLAIN_EVERY_SECONDS: Final = 5.0
SHOWN_SECONDS: Final = 60.0
LANDING_SECONDS: Final = 60.0
NEWS_LINES: Final = 4
# The embedded broker keeps all it is sent in memory, about 200 bytes an event.
EMBEDDED_MAX_EVENTS: Final = 2_000_000


@dataclass(frozen=True)
class Plan:
    """What a demo does.

    Attributes:
        events: The load.
        speed: Times the load's own pace; None for as fast as the broker takes it.
        seconds: Ends by itself after so long; None for when the load ends.
        live: Whether the load's times are those of the clock, so that the view follows the clock.
        program: Runs in place of the load, which is then empty.
        registry_url: Registry in use; the pinned ids when None.
    """

    events: Iterator[TraceEvent]
    speed: float | None
    seconds: float | None
    live: bool
    program: Program | None = None
    registry_url: str | None = None


class Load:
    """Plays the events in a thread of its own."""

    def __init__(self, plan: Plan, publisher: Publisher, limit: int | None) -> None:
        self._plan = plan
        self._publisher = publisher
        self._limit = limit
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.error: Exception | None = None
        self.played: replaying.Played | None = None
        self.limited = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Tell it to end after the event in hand."""
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Wait until the broker has acknowledged everything, at most so long."""
        self._thread.join(seconds)

    @property
    def ended(self) -> bool:
        """Whether nothing more is sent."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.played = replaying.replay(
                self._bounded(),
                self._publisher,
                speed=self._plan.speed,
                sleep=self._stop.wait,
                stopped=self._stop.is_set,
            )
        except Exception as error:  # noqa: BLE001  # carried to the main thread, which raises it
            self.error = error

    def _bounded(self) -> Iterator[TraceEvent]:
        for number, event in enumerate(self._plan.events):
            if number == self._limit:
                self.limited = True
                return
            yield event


class Session:
    """A demo under way."""

    def __init__(
        self, stack: Stack, plan: Plan, news: deque[str], stop: threading.Event, console: Console
    ) -> None:
        self._stack = stack
        self._plan = plan
        self._news = news
        self._stop = stop
        self._console = console
        self._began = time.monotonic()
        self._since = datetime.now(UTC)
        self._clickhouse = ClickHouse(stack.clickhouse)
        registry = open_registry(plan.registry_url)
        self._publisher = Publisher(stack.kafka, registry)
        limit = EMBEDDED_MAX_EVENTS if stack.embedded_broker else None
        self._load = plan.program or Load(plan, self._publisher, limit)
        # Of its own, so that a full queue of the load never delays a sample.
        self._samples = Publisher(stack.kafka, registry)
        self._sampler = HostAgent(AgentSettings(), PynvmlLibrary(), self._samples.publish)

    def run(self) -> list[str]:
        """Play the load to its end, or until told to stop; the lines of the summary.

        Raises:
            EndedError: The broker, ClickHouse or a worker ended.
            Exception: Whatever the load failed with.
        """
        self._began = time.monotonic()
        ends_at = None if self._plan.seconds is None else time.monotonic() + self._plan.seconds
        with contextlib.closing(self._clickhouse), self._shown() as show:
            self._load.start()
            self._sampler.start()
            try:
                while not (
                    self._stop.is_set()
                    or self._load.ended
                    or (ends_at is not None and time.monotonic() >= ends_at)
                ):
                    self._stack.check()
                    show()
                    self._stop.wait(TICK_SECONDS)
                return self._finish(show)
            except Exception:
                # What ended explains more than what failed for want of it.
                self._stack.check()
                raise
            finally:
                # No waiting: the load may be at a broker that is gone. Its thread is a daemon.
                self._load.stop()
                self._sampler.stop(timeout=0)

    def _finish(self, show: Callable[[], None]) -> list[str]:
        self._load.stop()
        self._sampler.stop()
        while not self._load.ended:
            self._stack.check()
            self._load.wait(TICK_SECONDS)
        if self._load.error is not None:
            raise self._load.error
        if isinstance(self._load, Load) and self._load.limited:
            self._news.append(
                f"The load ends after {EMBEDDED_MAX_EVENTS:,} events: the embedded broker "
                "keeps them all in memory. Use --kafka for more."
            )
        self._flush_samples()
        landed = self._wait_until_landed(show)
        show()
        self._stack.check()
        lines = view.summary_lines(
            queries.totals(self._clickhouse),
            self._stack.data,
            place="folder" if self._stack.embedded_clickhouse else "database",
        )
        if not landed and not self._stop.is_set():
            lines.insert(0, "Not everything had landed in time; the logs say why.")
        return lines

    def _flush_samples(self) -> None:
        deadline = time.monotonic() + LANDING_SECONDS
        while True:
            self._stack.check()
            try:
                self._samples.flush(TICK_SECONDS)
            except PublishError:
                if self._samples.failed or time.monotonic() >= deadline:
                    raise
            else:
                return

    def _wait_until_landed(self, show: Callable[[], None]) -> bool:
        deadline = time.monotonic() + LANDING_SECONDS
        rows = -1
        while time.monotonic() < deadline and not self._stop.is_set():
            self._stack.check()
            aggregation, sink = self._stack.meters("aggregation"), self._stack.meters("sink")
            # Changed rows go out once a second: none new in that time means that all are out.
            settled = aggregation.aggregate_rows == rows
            if settled and arrived(self._sent(), aggregation, sink):
                return True
            rows = aggregation.aggregate_rows
            show()
            self._stop.wait(1.5 * TICK_SECONDS)
        return False

    def _sent(self) -> int:
        return self._publisher.delivered + self._samples.delivered

    @contextlib.contextmanager
    def _shown(self) -> Iterator[Callable[[], None]]:
        if self._console.is_terminal:
            with Live(console=self._console, auto_refresh=False) as live:
                yield lambda: live.update(view.live(self._snapshot(), self._console), refresh=True)
            return
        last = float("-inf")
        told = 0

        def lines() -> None:
            nonlocal last, told
            fresh = list(self._news)[told:]
            told += len(fresh)
            for line in fresh:
                self._console.print(line, highlight=False, soft_wrap=True)
            if time.monotonic() - last >= PLAIN_EVERY_SECONDS:
                last = time.monotonic()
                for line in view.plain_lines(self._snapshot()):
                    self._console.print(line, highlight=False, soft_wrap=True)

        yield lines

    def _snapshot(self) -> view.Snapshot:
        counted = self._stack.meters("aggregation").events
        # A program's events are not seen before they are counted.
        sent = max(self._sent(), counted if self._plan.program else 0)
        # A live load is as old as the demo: rates over a longer stretch would be too low.
        seconds = (
            min(SHOWN_SECONDS, time.monotonic() - self._began) if self._plan.live else SHOWN_SECONDS
        )
        until: datetime | None = None
        rates: tuple[queries.ServiceRates, ...] = ()
        buried: dict[str, int] = {}
        alerts: tuple[alerting.ShownAlert, ...] = ()
        incidents: tuple[alerting.ShownIncident, ...] = ()
        news = list(self._news)[-NEWS_LINES:]
        try:
            until = self._newest()
            if until is not None:
                rates = queries.service_rates(self._clickhouse, until, max(1.0, seconds))
            buried = queries.dead_letters_by_reason(self._clickhouse)
            alerts = alerting.alerts_now(self._clickhouse, self._since)
            incidents = alerting.incidents_now(self._clickhouse, self._since)
        except ClickHouseUnavailableError as error:
            news.append(str(error))
        return view.Snapshot(
            until, seconds, rates, sent, max(0, sent - counted), buried, news, alerts, incidents
        )

    def _newest(self) -> datetime | None:
        latest = queries.latest_window(self._clickhouse)
        if latest is None or not self._plan.live:
            return None if latest is None else latest + timedelta(seconds=10)
        return datetime.now(UTC)
