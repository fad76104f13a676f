"""Settings of the role incidents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_streams import role_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX: Final = "INFERWATCH_INCIDENTS"


@dataclass(frozen=True, slots=True)
class IncidentsSettings:
    """What the role incidents needs to know.

    Attributes:
        kafka: How to reach Kafka.
        registry_url: Schema registry with Confluent's API; the pinned ids when None.
        file: File of incidents; the shipped policy when None.
        group: Consumer group.
        tick_seconds: How often is looked for what is due.
        take_over_seconds: How long claiming and reading the incidents may take.
        commit_seconds: How often floors are committed.
        session_timeout_seconds: Without heartbeats for so long, a leader is replaced.
        stall_seconds: A partition that stands still for so long, with more in the log, is told as
            stalled.
        fetch_bytes: Most bytes of one partition in one fetch.
    """

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    registry_url: str | None = None
    file: Path | None = None
    group: str = "inferwatch-incidents"
    tick_seconds: float = 1.0
    take_over_seconds: float = 30.0
    commit_seconds: float = 2.0
    session_timeout_seconds: float = 10.0
    stall_seconds: float = 90.0
    fetch_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        role_settings.check(self, PREFIX)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> IncidentsSettings:
        """Settings from ``INFERWATCH_INCIDENTS_*``, ``_KAFKA_*`` and ``_REGISTRY_URL``.

        Raises:
            StreamsSettingsError: A value is not of its type, or cannot be.
            KafkaSettingsError: The connection settings cannot be.
        """
        return cls(**role_settings.read(cls, PREFIX, environment))
