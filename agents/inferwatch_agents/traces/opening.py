"""Switches spans on; OpenTelemetry is first imported here, and where it is missing this says so."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.errors import ConfigurationError

if TYPE_CHECKING:
    from inferwatch_agents.traces.tracing import Tracing

NOT_INSTALLED: Final = (
    "Traces need OpenTelemetry's SDK; install inferwatch[otel], or leave traces out."
)


def open_tracing(asked: str, service: str, environment: str | None) -> Tracing:
    """Switch spans on.

    Args:
        asked: Where spans go; see ``inferwatch_agents.init``.
        service: OpenTelemetry service.name.
        environment: OpenTelemetry deployment.environment.name; not known when None.

    Raises:
        ConfigurationError: It cannot be, or OpenTelemetry is not installed.
    """
    opened: Tracing = needing_opentelemetry("providers").open_tracing(asked, service, environment)
    return opened


def needing_opentelemetry(module: str) -> Any:
    """A module of this package that imports OpenTelemetry.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """
    try:
        return import_module(f"inferwatch_agents.traces.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise ConfigurationError(NOT_INSTALLED) from error
