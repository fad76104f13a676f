"""What a service or a host installs to be monitored.

A name is imported when it is first asked for: the command line, which needs the errors only, starts
without Kafka's client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from inferwatch_agents.calls import Call, current_call
    from inferwatch_agents.context import identify, in_experiment
    from inferwatch_agents.controls.guarding import guard
    from inferwatch_agents.delivery import DeliverySettings
    from inferwatch_agents.errors import AgentsError, CircuitOpenError, ConfigurationError
    from inferwatch_agents.experiments.assigning import assign, conversion, define
    from inferwatch_agents.experiments.definition import Experiment
    from inferwatch_agents.monitoring import monitor
    from inferwatch_agents.process import call, flush, follow, init, shutdown
    from inferwatch_agents.user_feedback import feedback

__all__ = [
    "AgentsError",
    "Call",
    "CircuitOpenError",
    "ConfigurationError",
    "DeliverySettings",
    "Experiment",
    "assign",
    "call",
    "conversion",
    "current_call",
    "define",
    "feedback",
    "flush",
    "follow",
    "guard",
    "identify",
    "in_experiment",
    "init",
    "monitor",
    "shutdown",
]

_MODULES: Final = {
    "calls": ("Call", "current_call"),
    "context": ("identify", "in_experiment"),
    "controls.guarding": ("guard",),
    "delivery": ("DeliverySettings",),
    "errors": ("AgentsError", "CircuitOpenError", "ConfigurationError"),
    "experiments.assigning": ("assign", "conversion", "define"),
    "experiments.definition": ("Experiment",),
    "monitoring": ("monitor",),
    "process": ("call", "flush", "follow", "init", "shutdown"),
    "user_feedback": ("feedback",),
}
_HOMES: Final = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is asked for, and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
