"""The incidents as this worker leads them: what changes is written before anything follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from inferwatch_schemas.errors import EncodeError
from inferwatch_schemas.topics import INCIDENTS
from inferwatch_streams.incidents import metrics
from inferwatch_streams.incidents.incident import PRIORITIES, Incident
from inferwatch_streams.incidents.incidents import Incidents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferwatch_streams.incidents.policy import Policy
    from inferwatch_streams.leading.state_topic import StateTopic


log = structlog.get_logger(__name__)


class Ledger:
    """Incidents, and the topic that they are written to. Its users take turns.

    Attributes:
        incidents: As they are; what was not written yet included.
    """

    def __init__(self, policy: Policy, topic: StateTopic) -> None:
        self._policy = policy
        self._topic = topic
        self._unsettled: set[str] = set()
        self.incidents = Incidents(policy)

    def change(self, policy: Policy) -> None:
        """Go on by another policy; what was decided by the former one stays."""
        self._policy = self.incidents.policy = policy

    async def take_over(self) -> None:
        """Forget all, claim the topic, and read it.

        Raises:
            TakeOverError: It did not succeed in time.
        """
        self.incidents, self._unsettled = Incidents(self._policy), set()
        for record in await self._topic.take_over():
            try:
                self.incidents.put(Incident.from_record(record.record))
            except (KeyError, TypeError, ValueError) as error:
                # Of another version of this program, as which it may run again.
                metrics.UNREADABLE.labels(INCIDENTS.name).inc()
                log.error(  # noqa: TRY400  # likewise
                    "an incident cannot be used", incident=record.key, offset=record.offset,
                    error=repr(error),
                )  # fmt: skip

    async def write(self, incidents: Iterable[Incident]) -> None:
        """Write states of incidents, in order; ``settle`` knows when the broker has them.

        Raises:
            LeadingError: This worker leads no more.
        """
        for incident in incidents:
            if incident.incident_id in self._unsettled:
                await self.settle()
            self.incidents.put(incident)
            try:
                self._topic.append(incident.incident_id, "incident", incident.to_record())
            except EncodeError as error:
                # The others go on, and so does this one with a later change that can be written.
                metrics.UNWRITABLE.inc()
                log.error(  # noqa: TRY400  # what it holds is at fault, not where it was noticed
                    "an incident cannot be written", incident=incident.incident_id,
                    error=str(error),
                )  # fmt: skip
                continue
            self._unsettled.add(incident.incident_id)
            metrics.TRANSITIONS.labels(incident.transition).inc()

    async def remove(self, incident_id: str) -> None:
        """Remove one from the topic.

        Raises:
            LeadingError: This worker leads no more.
        """
        if incident_id in self._unsettled:
            await self.settle()
        self._topic.append(incident_id, "incident", None)
        self._unsettled.add(incident_id)
        self.incidents.forget(incident_id)

    async def settle(self) -> None:
        """Wait until the broker has all that was written.

        Raises:
            LeadingError: This worker leads no more.
        """
        await self._topic.settle()
        self._unsettled = set()
        numbers = dict.fromkeys(PRIORITIES, 0)
        for incident in self.incidents.active:
            numbers[incident.priority] += 1
        for priority, number in numbers.items():
            metrics.ACTIVE.labels(priority).set(number)
