"""ClickHouse for response actions: what services and hosts did before an incident, and since."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final

from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.errors import ClickHouseError
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.instants import moment
from inferwatch_streams.errors import ActionFailedError
from inferwatch_streams.incidents.response_action import Context

MINUTE: Final = 60_000_000
ANSWER_SECONDS: Final = 20.0

Span = tuple[datetime, datetime]


@contextmanager
def asking(environment: Mapping[str, str]) -> Iterator[ClickHouse]:
    """A connection to ClickHouse; what it cannot answer has failed without changing anything.

    Raises:
        ActionFailedError: ClickHouse does not answer, or refuses.
    """
    settings = ClickHouseSettings.from_environment(environment)
    settings = replace(settings, answer_seconds=min(settings.answer_seconds, ANSWER_SECONDS))
    try:
        with closing(ClickHouse(settings)) as clickhouse:
            yield clickhouse
    except ClickHouseError as error:
        raise ActionFailedError(f"ClickHouse: {error}") from error


def started(context: Context) -> int:
    """When the trouble began, as far as its alerts tell."""
    return min([context.incident.opened_at, *(alert.started_at for alert in context.alerts)])


def span(start: int, end: int) -> Span:
    """A stretch of time as ClickHouse takes it."""
    return moment(start), moment(end)
