"""Settings of the host agent."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from inferwatch_agents.errors import ConfigurationError

DEFAULT_INTERVAL_SECONDS: Final = 10.0
DEFAULT_METRICS_PORT: Final = 9425
# NVML itself measures some things over so long.
LEAST_INTERVAL_SECONDS: Final = 0.1
MOST_INTERVAL_SECONDS: Final = 3600.0
MOST_PROCESSES: Final = 50


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What is sampled, how often, and where it is shown.

    Attributes:
        host_name: OpenTelemetry host.name.
        interval_seconds: Time between samples.
        disk_path: Where disk space is measured.
        processes: Names of the processes that are sampled.
        metrics_address: Where the Prometheus metrics are served.
        metrics_port: Its port; None serves none.
    """

    host_name: str = field(default_factory=socket.gethostname)
    interval_seconds: float = DEFAULT_INTERVAL_SECONDS
    disk_path: str = "/"
    processes: tuple[str, ...] = ()
    metrics_address: str = "127.0.0.1"
    metrics_port: int | None = DEFAULT_METRICS_PORT

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            ConfigurationError: One cannot be; says what to change.
        """
        if not self.host_name:
            raise ConfigurationError("The host has no name; give it with --host-name.")
        # Written so that NaN, which compares false, is refused.
        if not LEAST_INTERVAL_SECONDS <= self.interval_seconds <= MOST_INTERVAL_SECONDS:
            raise ConfigurationError(
                f"The interval is {self.interval_seconds:g} seconds; give "
                f"{LEAST_INTERVAL_SECONDS} to {MOST_INTERVAL_SECONDS:g} with --interval."
            )
        if not Path(self.disk_path).exists():
            raise ConfigurationError(
                f"There is no {self.disk_path}; give a folder of the disk with --disk-path."
            )
        if "" in self.processes or len(self.processes) > MOST_PROCESSES:
            raise ConfigurationError(
                f"--processes has {len(self.processes)} names, or an empty one; give up to "
                f"{MOST_PROCESSES}, separated by commas."
            )
