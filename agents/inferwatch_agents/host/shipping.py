"""The agent's way to Kafka: that of the SDK, which never waits and counts what it loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.delivery import Delivery, DeliverySettings
from inferwatch_agents.outcomes import Faults, Outcomes
from inferwatch_agents.process import UNKNOWN_ENVIRONMENT
from inferwatch_agents.sender import Sender
from inferwatch_agents.spool import open_spool

if TYPE_CHECKING:
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry

# What an agent is called that tells of one that was killed.
SERVICE: Final = "inferwatch-agent"
# What a record takes in memory, roughly: a sample has about thirty values.
RECORD_BYTES: Final = 2000


class Shipping:
    """Sends events of one host.

    Attributes:
        outcomes: What became of them.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        registry: Registry,
        settings: DeliverySettings | None = None,
        *,
        state: str | None = None,
    ) -> None:
        """Make Kafka's client; ``start`` starts it.

        Args:
            kafka: Where the broker is.
            registry: Where schema ids come from.
            settings: What may wait for Kafka; defaults when None.
            state: Folder where it is kept how many events were made, as ``open_spool`` takes it.

        Raises:
            PublishError: Kafka's client refuses its settings.
            ConfigurationError: The folder cannot be used.
        """
        found = settings or DeliverySettings()
        self.outcomes, faults = Outcomes(), Faults()
        self._delivery = Delivery(
            found,
            lambda producer_id: Sender(
                kafka, registry, producer_id, found.room(), outcomes=self.outcomes, faults=faults
            ),
            self.outcomes,
            faults,
            lambda _events, _now: None,
            spool=open_spool(state, SERVICE, UNKNOWN_ENVIRONMENT, kafka.bootstrap_servers),
        )

    def start(self) -> None:
        """Start sending, as soon as Kafka can be reached."""
        self._delivery.start()

    def emit(self, schema: str, record: dict[str, Any]) -> None:
        """Take an event; it is sent later, or dropped and counted."""
        self._delivery.emit(schema, record, RECORD_BYTES)

    def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        self._delivery.close()
