"""The topic catalogue: every Kafka topic of Inferwatch, in one place.

Nothing else in the project spells a topic's name, schema, partitions or retention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

DAY_MS: Final = 24 * 60 * 60 * 1000
KIB: Final = 1024
FOR_EVER: Final = -1


@dataclass(frozen=True, slots=True)
class Topic:
    """One Kafka topic.

    Attributes:
        name: Full name in Kafka.
        key: What the record key is, as UTF-8 text.
        schemas: Avro records it may carry (names under ``avro/``).
        partitions: Partitions at creation; may be raised later, never lowered.
        retention_ms: How long records are kept, in milliseconds; ``FOR_EVER`` in a compacted topic,
            where a key's newest record stays.
        cleanup: Kafka's ``cleanup.policy``.
        max_value_bytes: A larger value is not an event; it goes to the dead letters.
        published: Whether services and hosts publish to it.
        aggregated: Whether the aggregation counts it; it buries the bad records of these, and the
            sink those of all others.
        about: One sentence for ``inferwatch topics list``.
        every_change_ms: In a compacted topic, how long every change of a key stays, in
            milliseconds, for readers that want each and not only the newest.
        landed: Whether the sink stores it in ClickHouse.
    """

    name: str
    key: str
    schemas: tuple[str, ...]
    partitions: int
    retention_ms: int
    cleanup: Literal["delete", "compact"]
    max_value_bytes: int
    published: bool
    aggregated: bool
    about: str
    every_change_ms: int = 0
    landed: bool = True

    def subject(self, schema: str) -> str:
        """Registry subject of one of its schemas.

        A topic of one schema uses Confluent's TopicNameStrategy, the default of every
        serializer; a topic of several uses TopicRecordNameStrategy.
        """
        return (
            f"{self.name}-value" if len(self.schemas) == 1 else f"{self.name}-inferwatch.{schema}"
        )

    def config(self) -> dict[str, str]:
        """Kafka's own topic settings, as creation and comparison take them."""
        lag = {"min.compaction.lag.ms": str(self.every_change_ms)} if self.every_change_ms else {}
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(max(1024 * KIB, 2 * self.max_value_bytes)),
            # By a producer's clock, Kafka refuses what lies an hour ahead, and removes at once what
            # lies further behind than its retention.
            "message.timestamp.type": "LogAppendTime",
            **lag,
        }


REQUESTS: Final = Topic(
    "inferwatch.requests", "service", ("request",), 4, 7 * DAY_MS, "delete", 256 * KIB,
    published=True, aggregated=True, about="One call of a model.",
)  # fmt: skip
RESOURCES: Final = Topic(
    "inferwatch.resources", "host", ("resource",), 2, 7 * DAY_MS, "delete", 256 * KIB,
    published=True, aggregated=True, about="One sample of a host or GPU.",
)  # fmt: skip
EXPOSURES: Final = Topic(
    "inferwatch.exposures", "user", ("exposure",), 2, 30 * DAY_MS, "delete", 256 * KIB,
    published=True, aggregated=True, about="A user saw a variant of an experiment.",
)  # fmt: skip
CONVERSIONS: Final = Topic(
    "inferwatch.conversions", "user", ("conversion",), 2, 30 * DAY_MS, "delete", 256 * KIB,
    published=True, aggregated=True, about="A user did what an experiment measures.",
)  # fmt: skip
LOGS: Final = Topic(
    "inferwatch.logs", "service", ("log",), 4, 7 * DAY_MS, "delete", 256 * KIB,
    published=True, aggregated=False, about="A structured log record.",
)  # fmt: skip
SPANS: Final = Topic(
    "inferwatch.spans", "trace id", ("span",), 4, 7 * DAY_MS, "delete", 256 * KIB,
    published=True, aggregated=False, about="A finished span of a trace.",
)  # fmt: skip
EVALUATIONS: Final = Topic(
    "inferwatch.evaluations", "model", ("evaluation",), 2, 30 * DAY_MS, "delete", 256 * KIB,
    published=True, aggregated=True,
    about="A quality score: test set, judge, drift probe or user.",
)  # fmt: skip
DEVICE_EVENTS: Final = Topic(
    "inferwatch.device_events", "host", ("device_event",), 1, 30 * DAY_MS, "delete", 256 * KIB,
    published=True, aggregated=False, about="An XID error, a change of throttling, an ECC error.",
)  # fmt: skip
# Compacted topics have one partition: the newest of a key is then that with the highest offset.
EXPERIMENTS: Final = Topic(
    "inferwatch.experiments", "experiment", ("experiment",), 1, FOR_EVER, "compact", 256 * KIB,
    published=False, aggregated=False, about="The definition of an experiment.",
)  # fmt: skip
CONTROLS: Final = Topic(
    "inferwatch.controls", "what it controls", ("control",), 1, FOR_EVER, "compact", 256 * KIB,
    published=False, aggregated=False, about="What services are told not to do for a while.",
)  # fmt: skip
PRODUCER_ENDS: Final = Topic(
    "inferwatch.producer_ends", "service", ("producer_end",), 1, 30 * DAY_MS, "delete", 256 * KIB,
    published=True, aggregated=False, about="How many events a producer had made at its end.",
)  # fmt: skip
ALERTS: Final = Topic(
    "inferwatch.alerts", "fingerprint, or silence/ and its id", ("alert", "silence"), 1, FOR_EVER,
    "compact", 256 * KIB,
    published=False, aggregated=False, about="The state of an alert, or a silence.",
    every_change_ms=7 * DAY_MS,
)  # fmt: skip
INCIDENTS: Final = Topic(
    "inferwatch.incidents", "incident id", ("incident",), 1, FOR_EVER, "compact", 1024 * KIB,
    published=False, aggregated=False, about="The state of an incident.",
    every_change_ms=7 * DAY_MS,
)  # fmt: skip
COMMANDS: Final = Topic(
    "inferwatch.commands", "incident or alert id", ("command",), 1, 30 * DAY_MS, "delete",
    256 * KIB,
    published=False, aggregated=False, about="What people want done with alerts and incidents.",
)  # fmt: skip
AGGREGATES: Final = Topic(
    "inferwatch.aggregates", "signal and dimensions",
    (
        "request_aggregate", "resource_aggregate", "exposure_aggregate", "conversion_aggregate",
        "evaluation_aggregate",
    ),
    4, 3 * DAY_MS, "delete", 1024 * KIB,
    published=False, aggregated=False, about="A block's share of one window of a signal.",
)  # fmt: skip
TOTALS: Final = Topic(
    "inferwatch.totals", "partition of the aggregates, or log, group and slot",
    ("total", "checkpoint"), 1, FOR_EVER, "compact", 1024 * KIB,
    published=False, aggregated=False, about="What the rules know of the past days.", landed=False,
)  # fmt: skip
DEAD_LETTERS: Final = Topic(
    "inferwatch.dead_letters", "source topic", ("dead_letter",), 1, 30 * DAY_MS, "delete",
    4096 * KIB,
    published=False, aggregated=False,
    about="Bytes that could not be read, where they were, and why.",
)  # fmt: skip

TOPICS: Final = (
    REQUESTS, RESOURCES, EXPOSURES, CONVERSIONS, LOGS, SPANS, EVALUATIONS, DEVICE_EVENTS,
    EXPERIMENTS, CONTROLS, PRODUCER_ENDS, ALERTS, INCIDENTS, COMMANDS, AGGREGATES, TOTALS,
    DEAD_LETTERS,
)  # fmt: skip
BY_NAME: Final = {topic.name: topic for topic in TOPICS}
PUBLISHED: Final = tuple(topic for topic in TOPICS if topic.published)
LANDED: Final = tuple(topic for topic in TOPICS if topic.landed)
AGGREGATED: Final = tuple(topic for topic in TOPICS if topic.aggregated)


def topic_of(schema: str) -> Topic:
    """The topic that carries a schema, by the schema's name."""
    return next(topic for topic in TOPICS if schema in topic.schemas)
