"""Where the results of evaluations go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from inferwatch_agents import process

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA: Final = "evaluation"


class Sink(Protocol):
    """Takes results."""

    def evaluated(self, record: Mapping[str, Any]) -> None:
        """A question was judged, or could not be.

        Args:
            record: The ``evaluation`` event but for its header, service and environment.
        """
        ...

    def scored(self, model: str, accuracy: float) -> None:
        """A run measured a model's accuracy, from 0 to 1."""
        ...


class SdkSink:
    """Gives results to the SDK of this process; without ``init`` to nobody. Never raises."""

    def evaluated(self, record: Mapping[str, Any]) -> None:
        """Send it, under the service's name and environment."""
        if (sdk := process.active()) is not None:
            belongs = {
                "service_name": sdk.service,
                "deployment_environment_name": sdk.environment,
            }
            sdk.emit(SCHEMA, belongs | dict(record))

    def scored(self, model: str, accuracy: float) -> None:
        """Set the gauge ``ai_model_accuracy_score``."""
        if (sdk := process.active()) is not None:
            sdk.scored.append((model, accuracy))
