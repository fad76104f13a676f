"""What a service or a host installs to be monitored."""

from inferwatch_agents.call import Call, current_call
from inferwatch_agents.client import call, flush, init, shutdown
from inferwatch_agents.context import identify, in_experiment
from inferwatch_agents.delivery import DeliverySettings
from inferwatch_agents.errors import AgentsError, ConfigurationError
from inferwatch_agents.monitor import monitor

__all__ = [
    "AgentsError",
    "Call",
    "ConfigurationError",
    "DeliverySettings",
    "call",
    "current_call",
    "flush",
    "identify",
    "in_experiment",
    "init",
    "monitor",
    "shutdown",
]
