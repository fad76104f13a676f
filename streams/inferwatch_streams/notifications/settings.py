"""Settings of the role notifications."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_streams import role_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX: Final = "INFERWATCH_NOTIFICATIONS"


@dataclass(frozen=True, slots=True)
class NotificationsSettings:
    """What the role notifications needs to know.

    Attributes:
        kafka: How to reach Kafka.
        registry_url: Schema registry with Confluent's API; the pinned ids when None.
        file: File of channels and routes; nobody is told when None.
        group: Consumer group.
        tick_seconds: How often is looked for what is due.
        begin_seconds: How long reading what was told before may take.
        commit_seconds: How often floors are committed.
        session_timeout_seconds: Without heartbeats for so long, another worker tells.
        stall_seconds: A topic of which nothing is told for so long, with more in the log, is told
            as stalled: longer than a message is tried.
        fetch_bytes: Most bytes of one partition in one fetch.
    """

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    registry_url: str | None = None
    file: Path | None = None
    group: str = "inferwatch-notifications"
    tick_seconds: float = 0.1
    begin_seconds: float = 60.0
    commit_seconds: float = 1.0
    session_timeout_seconds: float = 10.0
    stall_seconds: float = 900.0
    fetch_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        role_settings.check(self, PREFIX)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> NotificationsSettings:
        """Settings from ``INFERWATCH_NOTIFICATIONS_*``, ``_KAFKA_*`` and ``_REGISTRY_URL``.

        Raises:
            StreamsSettingsError: A value is not of its type, or cannot be.
            KafkaSettingsError: The connection settings cannot be.
        """
        return cls(**role_settings.read(cls, PREFIX, environment))
