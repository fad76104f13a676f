"""The alerts as their leader has them: changed by ticks and commands, written to their topic."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.emitter import SENT_AT_ONCE
from inferwatch_schemas.errors import EncodeError
from inferwatch_streams.alerts.alert import SEVERITIES, STATUSES, Alert
from inferwatch_streams.alerts.silence import Silence
from inferwatch_streams.alerts.state import State
from inferwatch_streams.alerts.step import step
from inferwatch_streams.commands.obeying import obeyed
from inferwatch_streams.errors import MatcherError
from inferwatch_streams.leading.in_thread import in_thread
from inferwatch_streams.rules_worker import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from inferwatch_streams.alerts.policy import Policy
    from inferwatch_streams.alerts.settings import AlertSettings
    from inferwatch_streams.alerts.state import Change
    from inferwatch_streams.commands.command import Command
    from inferwatch_streams.leading.state_record import StateRecord
    from inferwatch_streams.leading.state_topic import StateTopic
    from inferwatch_streams.rules.finding import Finding

log = structlog.get_logger(__name__)

MICROS: Final = 1_000_000
_READ: Final[Mapping[str, Callable[..., Alert | Silence]]] = {
    "alert": Alert.from_record,
    "silence": Silence.from_record,
}


class Alerting:
    """The state, and its topic; used by one task at a time.

    What it does raises ``SupersededError`` where this worker leads no more: then ``take_over``
    comes before anything else.
    """

    def __init__(self, topic: StateTopic, clock: Callable[[], float]) -> None:
        """Prepare; clock is in seconds since 1970."""
        self._topic = topic
        self._clock = clock
        self._state = State()

    async def take_over(self) -> int:
        """Read the state; the epoch of this leader.

        Raises:
            TakeOverError: It was not read in time.
            SupersededError: Another worker was faster.
        """
        self._state = State.loaded(_read(await self._topic.take_over()))
        self._count()
        return self._topic.epoch

    async def tick(
        self,
        policies: Mapping[str, Policy],
        findings: Mapping[str, Sequence[Finding]],
        at: int,
        settings: AlertSettings,
    ) -> None:
        """Carry a tick out, and return when the broker has what it changed; see ``step``."""
        # Ten thousand alerts at once take seconds, in which the group must hear of this worker.
        state, changed = await in_thread(step, self._state, policies, findings, at, settings)
        if not changed:
            self._state = state
            return
        await self._write(state, changed)
        metrics.ALERT_SECONDS.observe(self._clock() - at / MICROS)

    async def obey(self, command: Command, at: int) -> None:
        """Carry a command out, and return when the broker has what it changed; see ``obeyed``."""
        result = obeyed(self._state, command, at)
        if result.rejected is not None:
            if not result.elsewhere:
                log.warning(
                    "command rejected", command_id=command.command_id, actor=command.actor,
                    action=command.action, target=command.target, reason=result.rejected,
                )  # fmt: skip
            outcome = "elsewhere" if result.elsewhere else "rejected"
        else:
            await self._write(result.state, result.changed)
            outcome = "done" if result.changed else "repeated"
        metrics.COMMANDS.labels(command.action, outcome).inc()

    def stand_by(self) -> None:
        """Another worker leads, or none; the topic is not followed any more."""
        self._topic.close()

    async def settle(self) -> None:
        """See ``StateTopic.settle``; to be called about once a second."""
        await self._topic.settle()

    async def _write(self, state: State, changed: Sequence[Change]) -> None:
        for number, change in enumerate(changed):
            if number % SENT_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                self._append(change)
            except EncodeError as error:
                # It would stop all others for ever. It is as good as not changed.
                log.error("an alert does not fit its schema", error=str(error))  # noqa: TRY400  # told once
        await self._topic.settle()
        for change in changed:
            if isinstance(change, Alert) and self._turned(change):
                metrics.TRANSITIONS.labels(change.status, change.severity).inc()
                log.info(
                    "alert", fingerprint=change.fingerprint, rule=change.rule, status=change.status,
                    summary=change.summary,
                )  # fmt: skip
        self._state = state
        self._count()

    def _append(self, change: Change) -> None:
        if isinstance(change, Alert):
            self._topic.append(change.fingerprint, "alert", change.to_record())
        elif isinstance(change, Silence):
            self._topic.append(change.key, "silence", change.to_record())
        else:
            self._topic.append(change, "alert", None)

    def _turned(self, alert: Alert) -> bool:
        before = self._state.get(alert.fingerprint)
        return before is None or before.alert.transition_id != alert.transition_id

    def _count(self) -> None:
        counts = Counter((alert.status, alert.severity) for alert in self._state.alerts())
        for status in STATUSES:
            for severity in SEVERITIES:
                metrics.ALERTS.labels(status, severity).set(counts[status, severity])


def _read(records: Iterable[StateRecord]) -> Iterable[Alert | Silence]:
    for each in records:
        try:
            yield _READ[each.schema](each.record)
        except (KeyError, MatcherError) as error:
            # Of a newer version, perhaps: it stays on the topic, and is no alert here.
            log.error("a record of alerts cannot be used", key=each.key, error=repr(error))  # noqa: TRY400  # the record is at fault
