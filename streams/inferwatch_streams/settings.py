"""Settings of the aggregation worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from inferwatch_schemas.environment import check_above_zero, converted
from inferwatch_schemas.faust import check_fetch_bytes
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_streams.errors import StreamsSettingsError
from inferwatch_streams.signals import BLOCK_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "INFERWATCH_AGGREGATION"
VARIABLES: Final[dict[str, type[int | float | str]]] = {
    "group": str,
    "flush_seconds": float,
    "commit_seconds": float,
    "session_timeout_seconds": float,
    "stall_seconds": float,
    "fetch_bytes": int,
    "block_length": int,
}


@dataclass(frozen=True, slots=True)
class AggregationSettings:
    """What the aggregation needs to know.

    Attributes:
        kafka: How to reach Kafka.
        registry_url: Schema registry with Confluent's API; the pinned ids when None.
        group: Consumer group.
        flush_seconds: How often changed rows of open blocks are sent.
        commit_seconds: How often floors are committed.
        session_timeout_seconds: Without heartbeats for so long, a worker's partitions are given
            to others.
        stall_seconds: A partition that stands still for so long, with more in the log, is told as
            stalled.
        fetch_bytes: Most bytes of one partition in one fetch: a chunk's size.
        block_length: Offsets in a block. It belongs to the version of the signals: another value
            is for tests, on topics of their own.
    """

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    registry_url: str | None = None
    group: str = "inferwatch-aggregation"
    flush_seconds: float = 1.0
    commit_seconds: float = 2.0
    session_timeout_seconds: float = 30.0
    stall_seconds: float = 30.0
    fetch_bytes: int = 1024 * 1024
    block_length: int = BLOCK_LENGTH

    def __post_init__(self) -> None:
        if not self.group:
            raise StreamsSettingsError(f"{PREFIX}_GROUP is empty; name a consumer group.")
        numbers = {name: getattr(self, name) for name, kind in VARIABLES.items() if kind is not str}
        check_above_zero(numbers, PREFIX, StreamsSettingsError)
        check_fetch_bytes(self.fetch_bytes, PREFIX, StreamsSettingsError)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> AggregationSettings:
        """Settings from ``INFERWATCH_AGGREGATION_*``, ``_KAFKA_*`` and ``_REGISTRY_URL``.

        Raises:
            StreamsSettingsError: A value is not of its type, or cannot be.
            KafkaSettingsError: The connection settings cannot be.
        """
        return cls(
            kafka=KafkaSettings.from_environment(environment),
            registry_url=environment.get("INFERWATCH_REGISTRY_URL"),
            **converted(environment, PREFIX, VARIABLES, StreamsSettingsError),
        )
