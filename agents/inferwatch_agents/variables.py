"""Settings of Kafka and of delivery: what ``init`` was given, else what the variables say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inferwatch_agents.delivery import DeliverySettings
from inferwatch_agents.errors import ConfigurationError
from inferwatch_schemas.environment import check_above_zero, converted
from inferwatch_schemas.kafka import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "INFERWATCH"
# librdkafka's own limits, which it passes over in silence.
MOST_WAITING: Final = {"queue_events": 10_000_000, "queue_bytes": (2**31 - 1) * 1024}


def kafka_settings(given: str | KafkaSettings | None, found: Mapping[str, str]) -> KafkaSettings:
    """Where Kafka is.

    Args:
        given: To ``init``.
        found: The variables.

    Raises:
        SchemasError: A setting cannot be.
    """
    if isinstance(given, KafkaSettings):
        return given
    if given is not None:
        found = {**found, f"{PREFIX}_KAFKA_BOOTSTRAP_SERVERS": given}
    return KafkaSettings.from_environment(found)


def delivery_settings(given: DeliverySettings | None, found: Mapping[str, str]) -> DeliverySettings:
    """What may wait.

    Args:
        given: To ``init``.
        found: The variables.

    Raises:
        ConfigurationError: A setting cannot be.
    """
    kinds: dict[str, type[int | float | str]] = {
        "queue_events": int,
        "queue_bytes": int,
        "flush_seconds": float,
    }
    settings = given or DeliverySettings(**converted(found, PREFIX, kinds, ConfigurationError))
    check_above_zero({name: getattr(settings, name) for name in kinds}, PREFIX, ConfigurationError)
    for name, most in MOST_WAITING.items():
        if (value := getattr(settings, name)) > most:
            raise ConfigurationError(
                f"{PREFIX}_{name.upper()} is {value}; Kafka's client takes {most} at most."
            )
    return settings
