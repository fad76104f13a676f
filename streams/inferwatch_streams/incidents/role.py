"""The role incidents: alerts and commands in, incidents out, deadlines and actions in between."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.errors import SchemasError
from inferwatch_schemas.topics import ALERTS, COMMANDS
from inferwatch_streams.alerts.alert import SEVERITIES, Alert
from inferwatch_streams.commands.command import ACTIONS, Command
from inferwatch_streams.daemon_thread import in_daemon_thread
from inferwatch_streams.errors import LeadingError, MatcherError
from inferwatch_streams.incidents import metrics
from inferwatch_streams.incidents.alert_log import alerts_before
from inferwatch_streams.incidents.ledger import Ledger
from inferwatch_streams.incidents.responder import Responder
from inferwatch_streams.leading.partition_log import end_of
from inferwatch_streams.leading.record_processor import RecordProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_schemas.columnar.chunk import Assignment, TopicPartition
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.incidents.policy import Policy
    from inferwatch_streams.incidents.reloading import Decided
    from inferwatch_streams.incidents.runner import Runner
    from inferwatch_streams.incidents.settings import IncidentsSettings
    from inferwatch_streams.leading.record_handler import TakenRecord
    from inferwatch_streams.leading.state_topic import StateTopic

log = structlog.get_logger(__name__)

SECOND: Final = 1_000_000
ALERTS_AT: Final = (ALERTS.name, 0)
COMMANDS_AT: Final = (COMMANDS.name, 0)
REMOVE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 2.0


class IncidentsRole:
    """See the module; used from the event loop.

    Attributes:
        processor: What the transport talks to.
        responder: Does what is to be done.
    """

    def __init__(  # noqa: PLR0913  # each is a part of the role
        self,
        *,
        settings: IncidentsSettings,
        registry: Registry,
        policy: Policy,
        topic: StateTopic,
        runner: Runner,
        look: Callable[[], Decided | None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare.

        Args:
            settings: How often everything is done.
            registry: Where schemas come from.
            policy: What is decided in advance.
            topic: The incidents' topic.
            runner: Runs actions.
            look: Says in a thread what is decided otherwise since it was called last, if anything.
            clock: Seconds since 1970.
        """
        self._settings = settings
        self._registry = registry
        self._clock = clock
        self._ledger = Ledger(policy, topic)
        # Held by whatever changes incidents.
        self._lock = asyncio.Lock()
        self._taken: dict[TopicPartition, int] = {}
        self._caught_up_at: dict[TopicPartition, int] = {}
        self._remove_due = 0.0
        self._look = look
        self._looking: asyncio.Future[Decided | None] | None = None
        self._look_due = 0.0
        self.responder = Responder(policy, self._ledger, runner, self._lock, self._now)
        self.processor = RecordProcessor(
            settings.kafka, registry, [ALERTS.name, COMMANDS.name], self, fenced=[ALERTS.name]
        )

    def _now(self) -> int:
        return int(self._clock() * SECOND)

    async def begin(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        """See ``RecordHandler``."""
        async with self._lock:
            self._taken = {}
            await self._ledger.take_over()
            start = assignments.get(ALERTS_AT)
            seconds = self._settings.take_over_seconds
            commands_end = await asyncio.to_thread(
                end_of, self._settings.kafka, COMMANDS.name, seconds
            )
            alerts, alerts_end = await asyncio.to_thread(
                alerts_before,
                self._settings.kafka,
                self._registry,
                0 if start is None else start.start,
                seconds,
            )
            self._caught_up_at = {ALERTS_AT: alerts_end, COMMANDS_AT: commands_end}
            for alert in alerts.values():
                self._ledger.incidents.remember(alert)

    async def take(self, taken: TakenRecord) -> None:
        """See ``RecordHandler``."""
        async with self._lock:
            if taken.topic == ALERTS.name:
                await self._take_alert(taken)
            elif taken.record is not None:
                await self._take_command(taken)
            self._taken[taken.topic, taken.partition] = taken.offset + 1

    async def _take_alert(self, taken: TakenRecord) -> None:
        incidents = self._ledger.incidents
        if taken.record is None:
            if taken.key is not None:
                gone = incidents.forget_alert(taken.key, taken.timestamp_ms * 1000)
                await self._ledger.write(gone)
        elif taken.schema == "alert":
            try:
                alert = Alert.from_record(taken.record)
            except (KeyError, TypeError, ValueError) as error:
                self._left_out(taken, error)
                return
            if alert.severity not in SEVERITIES:
                # Of a newer version; how bad it is cannot be told here.
                metrics.UNKNOWN.inc()
                log.warning("an alert of unknown severity", severity=alert.severity)
                return
            await self._ledger.write(incidents.alert(alert))

    async def _take_command(self, taken: TakenRecord) -> None:
        record = taken.record or {}
        try:
            command = Command.from_record(record)
        except MatcherError as error:
            metrics.REFUSED.labels(_known(record["action"])).inc()
            log.warning("command rejected", offset=taken.offset, reason=str(error))
            return
        except (KeyError, TypeError, ValueError) as error:
            self._left_out(taken, error)
            return
        before = self._ledger.incidents.get(command.target)
        for incident in self._ledger.incidents.command(command):
            if before is not None and incident.transition_id == before.transition_id:
                metrics.REFUSED.labels(_known(command.action)).inc()
            await self._ledger.write([incident])

    def _left_out(self, taken: TakenRecord, error: Exception) -> None:
        metrics.UNREADABLE.labels(taken.topic).inc()
        log.error(
            "a record cannot be used", topic=taken.topic, offset=taken.offset, error=repr(error)
        )

    async def act(self) -> None:
        """Whatever is due; to be called each ``tick_seconds``."""
        await self._go_by_the_file()
        if not self.processor.assigned:
            # Another leads: what was begun here is its to judge.
            self.responder.stop()
        if not await self.processor.ready():
            return
        try:
            async with self._lock:
                await self._settle()
                # What is in the logs already comes before what its time has brought about: nobody
                # is told that an incident waits which somebody has taken meanwhile.
                if not self._caught_up():
                    return
                await self._ledger.write(self._ledger.incidents.tick(self._now()))
                await self._remove()
                await self.responder.look()
                await self._settle()
        except LeadingError as error:
            self.processor.begin_anew(error)
        except SchemasError as error:
            log.warning("incidents wait for Kafka", error=str(error))

    async def _go_by_the_file(self) -> None:
        """Go on by another policy, where its file says so now; who stands by does likewise."""
        if self._looking is None and time.monotonic() >= self._look_due:
            self._look_due = time.monotonic() + LOOK_SECONDS
            self._looking = in_daemon_thread("policy", self._look)
        # Not awaited: making a team's own action may take long, or for ever.
        if self._looking is None or not self._looking.done():
            return
        looked, self._looking = self._looking, None
        decided = looked.result()
        if decided is not None:
            async with self._lock:
                self._ledger.change(decided.policy)
                self.responder.change(decided)

    def _caught_up(self) -> bool:
        return all(
            (self.processor.position(at) or 0) >= end for at, end in self._caught_up_at.items()
        )

    async def _remove(self) -> None:
        if time.monotonic() < self._remove_due:
            return
        self._remove_due = time.monotonic() + REMOVE_SECONDS
        for incident_id in self._ledger.incidents.over_since(self._now()):
            await self._ledger.remove(incident_id)

    async def _settle(self) -> None:
        taken = dict(self._taken)
        await self._ledger.settle()
        for at, offset in taken.items():
            self.processor.done(at, offset)

    async def drain(self) -> None:
        """See ``RecordHandler``."""
        async with self._lock:
            await self._settle()


def _known(action: str) -> str:
    """An action as a label: what people make up would be without end."""
    return action if action in ACTIONS else "unknown"
