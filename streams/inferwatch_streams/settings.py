"""Settings of the aggregation worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_streams.errors import StreamsSettingsError
from inferwatch_streams.signals import BLOCK_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        fetch_bytes: Most bytes of one partition in one fetch: a chunk's size.
        metrics_port: Port of the Prometheus endpoint on loopback; none when None.
        block_length: Offsets in a block. It belongs to the version of the signals: another value
            is for tests, on topics of their own.
    """

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    registry_url: str | None = None
    group: str = "inferwatch-aggregation"
    flush_seconds: float = 1.0
    commit_seconds: float = 2.0
    session_timeout_seconds: float = 30.0
    fetch_bytes: int = 1024 * 1024
    metrics_port: int | None = None
    block_length: int = BLOCK_LENGTH

    def __post_init__(self) -> None:
        for name in ("flush_seconds", "commit_seconds", "session_timeout_seconds", "fetch_bytes"):
            if getattr(self, name) <= 0:
                raise StreamsSettingsError(
                    f"INFERWATCH_AGGREGATION_{name.upper()} is {getattr(self, name)}; "
                    "it must be above 0."
                )
        if self.block_length < 1:
            raise StreamsSettingsError("The block length must be at least 1.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> AggregationSettings:
        """Settings from ``INFERWATCH_AGGREGATION_*``, ``_KAFKA_*`` and ``_REGISTRY_URL``.

        Raises:
            StreamsSettingsError: A value is no number, or cannot be.
            KafkaSettingsError: The connection settings cannot be.
        """
        found: dict[str, float | int | str] = {}
        for name, convert in (
            ("group", str), ("flush_seconds", float), ("commit_seconds", float),
            ("session_timeout_seconds", float), ("fetch_bytes", int), ("metrics_port", int),
            ("block_length", int),
        ):  # fmt: skip
            variable = f"INFERWATCH_AGGREGATION_{name.upper()}"
            if variable not in environment:
                continue
            try:
                found[name] = convert(environment[variable])
            except ValueError as error:
                raise StreamsSettingsError(
                    f"{variable} is {environment[variable]!r}, which is no number."
                ) from error
        return cls(
            kafka=KafkaSettings.from_environment(environment),
            registry_url=environment.get("INFERWATCH_REGISTRY_URL"),
            **found,  # type: ignore[arg-type]  # converted by name above
        )
