"""Settings of the sink."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inferwatch_clickhouse.errors import ClickHouseSettingsError
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.kafka import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        fetch_bytes: Most bytes of one partition in one fetch.
        metrics_port: Port of the Prometheus endpoint on loopback; none when None.
    """

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    clickhouse: ClickHouseSettings = field(default_factory=ClickHouseSettings)
    registry_url: str | None = None
    group: str = "inferwatch-sink"
    flush_seconds: float = 1.0
    flush_bytes: int = 64 * 1024 * 1024
    commit_seconds: float = 2.0
    session_timeout_seconds: float = 30.0
    fetch_bytes: int = 1024 * 1024
    metrics_port: int | None = None

    def __post_init__(self) -> None:
        for name in (
            "flush_seconds", "flush_bytes", "commit_seconds", "session_timeout_seconds",
            "fetch_bytes",
        ):  # fmt: skip
            if getattr(self, name) <= 0:
                raise ClickHouseSettingsError(
                    f"INFERWATCH_SINK_{name.upper()} is {getattr(self, name)}; it must be above 0."
                )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> SinkSettings:
        """Settings from ``INFERWATCH_SINK_*``, ``_KAFKA_*``, ``_CLICKHOUSE_*``, ``_REGISTRY_URL``.

        Raises:
            ClickHouseSettingsError: A value is no number, or cannot be.
            KafkaSettingsError: The connection settings cannot be.
        """
        found: dict[str, float | int | str] = {}
        for name, convert in (
            ("group", str), ("flush_seconds", float), ("flush_bytes", int),
            ("commit_seconds", float), ("session_timeout_seconds", float), ("fetch_bytes", int),
            ("metrics_port", int),
        ):  # fmt: skip
            variable = f"INFERWATCH_SINK_{name.upper()}"
            if variable not in environment:
                continue
            try:
                found[name] = convert(environment[variable])
            except ValueError as error:
                raise ClickHouseSettingsError(
                    f"{variable} is {environment[variable]!r}, which is no number."
                ) from error
        return cls(
            kafka=KafkaSettings.from_environment(environment),
            clickhouse=ClickHouseSettings.from_environment(environment),
            registry_url=environment.get("INFERWATCH_REGISTRY_URL"),
            **found,  # type: ignore[arg-type]  # converted by name above
        )
