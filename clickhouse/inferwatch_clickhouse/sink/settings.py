"""Settings of the sink."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from inferwatch_clickhouse.errors import ClickHouseSettingsError
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.environment import check_above_zero, converted
from inferwatch_schemas.faust import check_fetch_bytes
from inferwatch_schemas.kafka import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "INFERWATCH_SINK"
VARIABLES: Final[dict[str, type[int | float | str]]] = {
    "group": str,
    "flush_seconds": float,
    "flush_bytes": int,
    "commit_seconds": float,
    "session_timeout_seconds": float,
    "stall_seconds": float,
    "fetch_bytes": int,
}


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """What the sink needs to know.

    Attributes:
        kafka: How to reach Kafka.
        clickhouse: How to reach ClickHouse.
        registry_url: Schema registry with Confluent's API; the pinned ids when None.
        group: Consumer group.
        flush_seconds: How often what has come is inserted.
        flush_bytes: Bytes that are inserted at once, without waiting for the time.
        commit_seconds: How often offsets are committed.
        session_timeout_seconds: Without heartbeats for so long, a worker's partitions are given
            to others.
        stall_seconds: A partition that stands still for so long, with more in the log, is told as
            stalled.
        fetch_bytes: Most bytes of one partition in one fetch.
    """

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    clickhouse: ClickHouseSettings = field(default_factory=ClickHouseSettings)
    registry_url: str | None = None
    group: str = "inferwatch-sink"
    flush_seconds: float = 1.0
    flush_bytes: int = 32 * 1024 * 1024
    commit_seconds: float = 2.0
    session_timeout_seconds: float = 30.0
    stall_seconds: float = 30.0
    fetch_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        if not self.group:
            raise ClickHouseSettingsError(f"{PREFIX}_GROUP is empty; name a consumer group.")
        numbers = {name: getattr(self, name) for name, kind in VARIABLES.items() if kind is not str}
        check_above_zero(numbers, PREFIX, ClickHouseSettingsError)
        check_fetch_bytes(self.fetch_bytes, PREFIX, ClickHouseSettingsError)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> SinkSettings:
        """Settings from ``INFERWATCH_SINK_*``, ``_KAFKA_*``, ``_CLICKHOUSE_*``, ``_REGISTRY_URL``.

        Raises:
            ClickHouseSettingsError: A value is not of its type, or cannot be.
            KafkaSettingsError: The connection settings cannot be.
        """
        return cls(
            kafka=KafkaSettings.from_environment(environment),
            clickhouse=ClickHouseSettings.from_environment(environment),
            registry_url=environment.get("INFERWATCH_REGISTRY_URL"),
            **converted(environment, PREFIX, VARIABLES, ClickHouseSettingsError),
        )
