"""The role rules: rows and commands in, ticks each second, alerts out, while this worker leads."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.columnar.patience import read_patiently
from inferwatch_schemas.errors import SchemasError
from inferwatch_schemas.topics import AGGREGATES, COMMANDS
from inferwatch_streams.commands.command import SILENCE, Command
from inferwatch_streams.errors import LeadingError, MatcherError
from inferwatch_streams.leading.in_thread import in_thread
from inferwatch_streams.leading.record_processor import RecordProcessor
from inferwatch_streams.rules.evaluation import Evaluator
from inferwatch_streams.rules_worker import metrics, pipeline_silent
from inferwatch_streams.rules_worker.ticking import SECOND, STEP, Held, Ticking
from inferwatch_streams.windows.rows import aggregate_reader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from inferwatch_schemas.columnar.chunk import Assignment, Chunk, TopicPartition
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.leading.record_handler import TakenRecord
    from inferwatch_streams.rules.completeness import Gaps
    from inferwatch_streams.rules.definition import Rule
    from inferwatch_streams.rules.finding import Finding
    from inferwatch_streams.rules_worker.alerting import Alerting
    from inferwatch_streams.rules_worker.keeping import WindowKeeper
    from inferwatch_streams.rules_worker.rulebook import Rulebook
    from inferwatch_streams.rules_worker.settings import RulesSettings
    from inferwatch_streams.rules_worker.ticking import Tick

    Ends = Callable[[Sequence[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]

log = structlog.get_logger(__name__)

#: For so long missed ticks are carried out one after the other, before all else has its turn.
MOST_SECONDS: Final = 3.0


class RulesRole:
    """See the module; used from the event loop.

    Attributes:
        processor: What the transport talks to.
    """

    def __init__(  # noqa: PLR0913  # each is a part of the role
        self,
        *,
        settings: RulesSettings,
        registry: Registry,
        rulebook: Rulebook,
        alerting: Alerting,
        keeper: WindowKeeper,
        ends: Ends,
        gaps: Gaps | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare.

        Args:
            settings: How often everything is done.
            registry: Where schemas come from.
            rulebook: The rules.
            alerting: The alerts.
            keeper: The windows.
            ends: Asks the broker where partitions end.
            gaps: Where missing events are known from.
            clock: Seconds since 1970.
        """
        self._settings = settings
        self._rulebook = rulebook
        self._alerting = alerting
        self._keeper = keeper
        self._ends = ends
        self._clock = clock
        self._reader = aggregate_reader(registry)
        self._gaps = gaps
        self._evaluator = Evaluator(gaps)
        self._silence = int(settings.silence_seconds * SECOND)
        self._settle = int(settings.settle_seconds * SECOND)
        self._ticking = Ticking(self._settle, self._silence)
        # Held by whatever changes alerts or windows, and while these are looked at in a thread.
        self._acting = asyncio.Lock()
        self._newest_tick = 0
        # Up to where ticks will not be carried out again by anybody; None where nobody knows.
        self._written_until: int | None = None
        self._checkpoint_due = 0.0
        self._look_due = 0.0
        self.processor = RecordProcessor(
            settings.kafka,
            registry,
            [COMMANDS.name],
            self,
            chunks={AGGREGATES.name: self.take_rows},
        )

    def _now(self) -> int:
        return int(self._clock() * SECOND)

    async def begin(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        """See ``RecordHandler``."""
        async with self._acting:
            epoch = await self._alerting.take_over()
            evaluated_until = await self._keeper.load(assignments, epoch)
            self._evaluator = Evaluator(self._gaps)
            self._ticking.begin(evaluated_until, self._now(), self._keeper.windows.newest)
            self._newest_tick = evaluated_until or 0
            self._written_until = evaluated_until
            self._checkpoint_due = time.monotonic() + self._settings.checkpoint_seconds

    async def take(self, taken: TakenRecord) -> None:
        """Carry a command out."""
        if taken.record is not None:
            try:
                command = Command.from_record(taken.record)
            except MatcherError as error:
                metrics.COMMANDS.labels(taken.record["action"], "rejected").inc()
                log.warning("command rejected", offset=taken.offset, reason=str(error))
            else:
                async with self._acting:
                    await self._alerting.obey(command, self._time_of(command))
        self.processor.done((taken.topic, taken.partition), taken.offset + 1)

    def _time_of(self, command: Command) -> int:
        """The tick that a command comes after."""
        if command.action == SILENCE:
            # A leader that comes after this one looks again at what is not written down, and sees
            # more of it than this one did. The silence is to hold then, too.
            return self._written_until or self._now() - self._settle - STEP
        return self._newest_tick or self._now() - self._settle

    async def take_rows(self, chunk: Chunk) -> None:
        """Take aggregate rows in."""
        read = await read_patiently(
            self._reader, chunk, lambda: self.processor.assigned, self.processor.waits
        )
        if read is None:
            return
        parts, bad = read[0], list(read[1])
        async with self._acting:
            if self.processor.position((chunk.topic, chunk.partition)) != chunk.start:
                # All was begun anew meanwhile: these rows do not follow on what is held now.
                return
            await in_thread(self._keeper.take, chunk, parts, bad)
            newest = self._keeper.windows.newest
        metrics.ROWS.inc(sum(len(part.rows) for part in parts))
        if bad:
            # The sink has them buried in the dead letters.
            metrics.BAD_ROWS.inc(len(bad))
            log.warning("rows left out", count=len(bad), first=bad[0].detail)
        self._ticking.came(self._now(), newest)

    async def act(self) -> None:
        """Whatever is due; to be called each ``tick_seconds``."""
        if time.monotonic() >= self._look_due:
            self._look_due = time.monotonic() + self._settings.reload_seconds
            await asyncio.to_thread(self._rulebook.look)
        if not await self.processor.ready():
            if not self.processor.assigned:
                self._alerting.stand_by()
                self._show(None)
            return
        try:
            await self._tick_all()
            async with self._acting:
                await self._alerting.settle()
            if time.monotonic() >= self._checkpoint_due:
                await self._checkpoint()
        except LeadingError as error:
            self.processor.begin_anew(error)
        except SchemasError as error:
            self._show(Held.BEHIND)
            log.warning("rules wait for Kafka", error=str(error))

    async def _tick_all(self) -> None:
        await self._see()
        until = time.monotonic() + MOST_SECONDS
        while time.monotonic() < until:
            async with self._acting:
                # Asked when nothing can be begun anew before it is done.
                tick = self._ticking.due(self._now())
                self._show(None if tick is None else tick.held)
                if tick is None or tick.held is Held.BEHIND:
                    return
                await self._carry_out(tick)
            if tick.held is not None:
                return

    @staticmethod
    def _show(held: Held | None) -> None:
        for reason in Held:
            metrics.HELD.labels(reason.name.lower()).set(reason is held)

    async def _see(self) -> None:
        partitions = [at for at in self.processor.floors() if at[0] == AGGREGATES.name]
        now = self._now()
        ends = await self._ends(partitions)
        positions = {at: self.processor.position(at) or 0 for at in partitions}
        self._ticking.see(now, ends, positions)

    async def _carry_out(self, tick: Tick) -> None:
        book = self._rulebook.book
        if tick.held is Held.SILENT:
            silence = pipeline_silent.found(
                self._ticking.silent_since, self._now(), self._silence, {}
            )
            findings: dict[str, Sequence[Finding]] = {pipeline_silent.NAME: [silence]}
        else:
            findings = {**await self._evaluate(book.rules, tick.at), pipeline_silent.NAME: ()}
        await self._alerting.tick(book.policies, findings, tick.at, book.alerting)
        self._newest_tick = max(self._newest_tick, tick.at)
        if tick.held is None:
            self._ticking.evaluated_until = tick.at
            metrics.EVALUATED_UNTIL.set(tick.at / SECOND)
        if tick.skipped:
            metrics.SKIPPED_SECONDS.inc(tick.skipped / SECOND)
            log.error("event time not looked at after an outage", seconds=tick.skipped / SECOND)

    async def _evaluate(self, rules: Sequence[Rule], at: int) -> Mapping[str, Sequence[Finding]]:
        started = time.monotonic()
        found = await in_thread(self._evaluator.tick, rules, self._keeper.windows, at)
        metrics.TICK_SECONDS.observe(time.monotonic() - started)
        metrics.EVALUATIONS.inc(len(rules))
        metrics.FINDINGS.inc(sum(len(each) for each in found.findings.values()))
        for name in found.failures:
            metrics.FAILURES.labels(name).inc()
        return found.findings

    async def _checkpoint(self) -> None:
        async with self._acting:
            evaluated_until = self._ticking.evaluated_until
            floors = await self._keeper.checkpoint(evaluated_until)
            if floors:
                self._written_until = evaluated_until
        for at, offset in floors.items():
            self.processor.done(at, offset)
        self._checkpoint_due = time.monotonic() + self._settings.checkpoint_seconds

    async def drain(self) -> None:
        """See ``RecordHandler``."""
        try:
            await self._checkpoint()
        except SchemasError as error:
            log.warning("no checkpoint written; more is read again", error=str(error))
