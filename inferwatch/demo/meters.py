"""What the workers' metrics say, and whether everything that was sent has arrived."""

import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from inferwatch_clickhouse.tables import TABLES
from inferwatch_schemas.topics import ALERTS, COMMANDS, INCIDENTS

ANSWER_SECONDS: Final = 2.0
SAID: Final = tuple(
    TABLES[schema].view for topic in (ALERTS, INCIDENTS, COMMANDS) for schema in topic.schemas
)
"""Tables of what the pipeline itself says, and no producer sends."""


@dataclass(frozen=True)
class Meters:
    """A worker's metrics, of those that matter here.

    Attributes:
        ready: Whether it has partitions.
        events: Events counted, and records found bad.
        aggregate_rows: Aggregate rows sent to Kafka.
        landed: Rows that ClickHouse acknowledged, by table.
    """

    ready: bool
    events: int
    aggregate_rows: int
    landed: dict[str, int]

    @property
    def landed_aggregates(self) -> int:
        """Aggregate rows among those that landed."""
        return sum(rows for table, rows in self.landed.items() if table.endswith("_aggregates"))

    @property
    def landed_events(self) -> int:
        """What producers sent among the rows that landed."""
        said = sum(self.landed.get(table, 0) for table in SAID)
        return sum(self.landed.values()) - self.landed_aggregates - said


NOTHING: Final = Meters(ready=False, events=0, aggregate_rows=0, landed={})


def is_ready(port: int) -> bool:
    """Whether a worker says on a loopback port that all its roles are at work or stand by."""
    try:
        with urllib.request.urlopen(  # a constant scheme and host
            f"http://127.0.0.1:{port}/health/ready", timeout=ANSWER_SECONDS
        ) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False


def read_meters(port: int) -> Meters:
    """The metrics that a worker serves on a loopback port; ``NOTHING`` while it does not."""
    try:
        with urllib.request.urlopen(  # a constant scheme and host
            f"http://127.0.0.1:{port}/metrics", timeout=ANSWER_SECONDS
        ) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return NOTHING
    return take_meters(text_string_to_metric_families(text))


def take_meters(families: Iterable[Metric]) -> Meters:
    """The meters among metric families."""
    ready = False
    sums: dict[str, float] = {}
    landed: dict[str, int] = {}
    for family in families:
        for sample in family.samples:
            if sample.name in ("inferwatch_floor", "inferwatch_sink_position"):
                ready = True
            if sample.name == "inferwatch_sink_rows_total":
                landed[sample.labels["table"]] = int(sample.value)
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return Meters(
        ready=ready,
        events=int(
            sums.get("inferwatch_events_total", 0) + sums.get("inferwatch_dead_letters_total", 0)
        ),
        aggregate_rows=int(sums.get("inferwatch_aggregate_rows_total", 0)),
        landed=landed,
    )


def arrived(sent: int, aggregation: Meters, sink: Meters) -> bool:
    """Whether all events were counted, and all rows of them are in ClickHouse.

    A worker that was started anew counts from zero and reads its open blocks again, so all of
    these may only be larger than what was sent, never smaller.
    """
    return (
        aggregation.events >= sent
        and sink.landed_events >= sent
        and sink.landed_aggregates >= aggregation.aggregate_rows
    )
