"""Settings of the role rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_streams import role_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX: Final = "INFERWATCH_RULES"


@dataclass(frozen=True, slots=True)
class RulesSettings:
    """What the role rules needs to know.

    Attributes:
        kafka: How to reach Kafka.
        registry_url: Schema registry with Confluent's API; the pinned ids when None.
        file: Rules file; the shipped rules when None.
        group: Consumer group.
        settle_seconds: How long events have to arrive and be counted before rules look at them.
        tick_seconds: How often rules look.
        silence_seconds: When all aggregate rows that came are of so long ago, only that is told.
        reload_seconds: How often the rules file is looked at.
        checkpoint_seconds: How often is written up to where rules have looked.
        take_over_seconds: How long claiming and reading the alerts may take.
        commit_seconds: How often floors are committed.
        session_timeout_seconds: Without heartbeats for so long, a leader is replaced.
        stall_seconds: A partition that stands still for so long, with more in the log, is told as
            stalled.
        fetch_bytes: Most bytes of one partition in one fetch.
    """

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    registry_url: str | None = None
    file: Path | None = None
    group: str = "inferwatch-rules"
    settle_seconds: float = 2.0
    tick_seconds: float = 1.0
    silence_seconds: float = 60.0
    reload_seconds: float = 3.0
    checkpoint_seconds: float = 20.0
    take_over_seconds: float = 30.0
    commit_seconds: float = 2.0
    session_timeout_seconds: float = 10.0
    stall_seconds: float = 90.0
    fetch_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        role_settings.check(self, PREFIX)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> RulesSettings:
        """Settings from ``INFERWATCH_RULES_*``, ``_KAFKA_*`` and ``_REGISTRY_URL``.

        Raises:
            StreamsSettingsError: A value is not of its type, or cannot be.
            KafkaSettingsError: The connection settings cannot be.
        """
        return cls(**role_settings.read(cls, PREFIX, environment))
