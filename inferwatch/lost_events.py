"""Where rules of the kind completeness know from what is missing: ClickHouse, asked in a thread."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

import structlog

from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.errors import ClickHouseError
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.instants import micros, moment
from inferwatch_streams.errors import RuleFailedError
from inferwatch_streams.rules.completeness import Gap

log = structlog.get_logger(__name__)

SECOND: Final = 1_000_000
ASK_SECONDS: Final = 30.0
ANSWER_SECONDS: Final = 20.0
#: A minute's events are on their way for a while: queues of services, retries, the sink.
SETTLED: Final = 120 * SECOND
#: What was told so long ago says nothing of now.
STALE: Final = 300 * SECOND

_GAPS: Final = """
SELECT minute, topic, arrayStringConcat(sources, ','), producer_id, made, missing
FROM producer_gaps_between(
    since = {since:DateTime64(6, 'UTC')}, until = {until:DateTime64(6, 'UTC')})
"""


@dataclass(frozen=True)
class Told:
    """What ClickHouse told.

    Attributes:
        until: End of the stretch that was asked about, in microseconds since 1970.
        gaps: By start of the minute.
    """

    until: int
    gaps: Sequence[tuple[int, Gap]]


def ask(settings: ClickHouseSettings, since: int, until: int) -> Told:
    """What was made and is missing in a stretch of time.

    Raises:
        ClickHouseError: It does not answer, or refuses.
    """
    impatient = replace(settings, answer_seconds=min(settings.answer_seconds, ANSWER_SECONDS))
    with closing(ClickHouse(impatient)) as clickhouse:
        rows = clickhouse.query(_GAPS, {"since": moment(since), "until": moment(until)})
    return Told(
        until,
        [
            (micros(minute), Gap(topic, source, producer_id, int(made), int(missing)))
            for minute, topic, source, producer_id, made, missing in rows
        ],
    )


class LostEvents:
    """The ``Gaps`` of the role rules.

    Nothing is asked before a rule wants to know. Minutes that ended less than two minutes ago are
    left out, as their events may be on their way.
    """

    def __init__(
        self,
        asked: Callable[[int, int], Told],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare.

        Args:
            asked: ``ask``, with its settings.
            clock: Seconds since 1970.
        """
        self._asked = asked
        self._clock = clock
        self._longest = 0
        self._since: int | None = None
        self._told: Told | None = None
        self._error = ""

    def gaps(self, start: int, end: int) -> list[Gap]:
        """See ``Gaps``: what was told last.

        Raises:
            RuleFailedError: ClickHouse has told nothing for long.
        """
        self._longest = max(self._longest, end - start)
        if self._since is None:
            self._since = self._now()
            threading.Thread(target=self._run, name="inferwatch-lost-events", daemon=True).start()
        told = self._told
        if self._now() - (self._since if told is None else told.until + SETTLED) > STALE:
            raise RuleFailedError(
                f"ClickHouse has not told for long which events are missing: {self._error}."
            )
        return [] if told is None else [gap for at, gap in told.gaps if start <= at < end]

    def refresh(self) -> None:
        """Ask; where there is no answer, what was told before holds for a while."""
        until = (self._now() - SETTLED) // (60 * SECOND) * 60 * SECOND
        try:
            self._told = self._asked(until - self._longest, until)
        except ClickHouseError as error:
            self._error = str(error)
            log.warning("which events are missing is unknown", error=self._error)

    def _run(self) -> None:
        while True:
            self.refresh()
            time.sleep(ASK_SECONDS)

    def _now(self) -> int:
        return int(self._clock() * SECOND)
