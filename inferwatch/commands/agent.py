"""``inferwatch agent``: sample this host and its GPUs, until told to stop."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from inferwatch import options
from inferwatch.program_log import LogLevel, write_log
from inferwatch_agents.errors import ConfigurationError
from inferwatch_agents.host.agent import HostAgent
from inferwatch_agents.host.endpoint import DCGM_PATH, METRICS_PATH, endpoint
from inferwatch_agents.host.exposition import DcgmMetrics, SystemMetrics, registry_of
from inferwatch_agents.host.nvml import Nvml, PynvmlLibrary
from inferwatch_agents.host.nvml_recording import NvmlRecorder
from inferwatch_agents.host.settings import AgentSettings
from inferwatch_agents.host.shipping import Shipping
from inferwatch_schemas.prometheus import serve

DEFAULTS = AgentSettings()


def _option(name: str, about: str, **more: Any) -> Any:
    variable = name.removeprefix("--").replace("-", "_").upper()
    return typer.Option(
        name,
        help=about,
        envvar=f"INFERWATCH_AGENT_{variable}",
        show_envvar=False,
        rich_help_panel="Agent; also from the variables INFERWATCH_AGENT_INTERVAL, ...",
        **more,
    )


@options.expanded
def agent(  # noqa: PLR0913  # an option is a parameter
    *,
    interval: Annotated[
        float, _option("--interval", "Seconds between samples.", metavar="SECONDS")
    ] = DEFAULTS.interval_seconds,
    processes: Annotated[
        str,
        _option("--processes", "Programs to sample, separated by commas.", metavar="NAME,..."),
    ] = "",
    host_name: Annotated[
        str | None, _option("--host-name", "The system's when not given.", metavar="NAME")
    ] = None,
    disk_path: Annotated[
        str, _option("--disk-path", "Where disk space is measured.", metavar="FOLDER")
    ] = DEFAULTS.disk_path,
    metrics_address: Annotated[
        str, _option("--metrics-address", "Where Prometheus metrics are served.", metavar="IP")
    ] = DEFAULTS.metrics_address,
    metrics_port: Annotated[
        int, _option("--metrics-port", "Its port; 0 serves none.", min=0, max=65535)
    ] = DEFAULTS.metrics_port or 0,
    no_kafka: Annotated[bool, _option("--no-kafka", "Send nothing to Kafka.")] = False,
    record: Annotated[
        Path | None,
        typer.Option(help="Write down what the GPU driver answers.", metavar="FILE"),
    ] = None,
    pseudonyms: Annotated[
        bool, typer.Option("--pseudonyms", help="Record numbers in the place of UUIDs.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="End after so long.", metavar="SECONDS", min=0, max=threading.TIMEOUT_MAX
        ),
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="How much to tell.")] = LogLevel.INFO,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
) -> None:
    """Sample this host and its GPUs, to Kafka and to Prometheus.

    It waits neither for Kafka nor for a driver, and goes on without them.
    """
    stop = threading.Event()
    # At once: as a container's first process, Python heeds no SIGTERM by itself.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    write_log(log_level, sys.stderr)
    settings = AgentSettings(
        host_name=host_name or DEFAULTS.host_name,
        interval_seconds=interval,
        disk_path=disk_path,
        processes=tuple(name.strip() for name in processes.split(",")) if processes else (),
        metrics_address=metrics_address,
        metrics_port=metrics_port or None,
    )
    shipping = (
        None
        if no_kafka
        else Shipping(kafka, registry, state=os.environ.get("INFERWATCH_STATE_DIR"))
    )
    with _library(record, pseudonyms=pseudonyms) as nvml:
        running = HostAgent(settings, nvml, shipping.emit if shipping else _nowhere)
        _serve(running, settings, shipping)
        if shipping is not None:
            shipping.start()
        running.start()
        stop.wait(seconds)
        running.stop()
        if shipping is not None:
            shipping.close()


@contextlib.contextmanager
def _library(record: Path | None, *, pseudonyms: bool) -> Iterator[Nvml]:
    library = PynvmlLibrary()
    if record is None:
        if pseudonyms:
            raise ConfigurationError("--pseudonyms is of a recording; give --record FILE with it.")
        yield library
        return
    try:
        file = record.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{record} cannot be written ({error.strerror}); give another file with --record."
        ) from error
    try:
        yield NvmlRecorder(library, file, pseudonyms=pseudonyms)
    finally:
        try:
            file.close()
        except OSError as error:
            raise ConfigurationError(
                f"{record} is not whole ({error.strerror}); give another file with --record."
            ) from error


def _serve(running: HostAgent, settings: AgentSettings, shipping: Shipping | None) -> None:
    if settings.metrics_port is None:
        return
    outcomes = shipping.outcomes if shipping else None
    system = SystemMetrics(running.snapshots, running.events, running.reports, outcomes)
    dcgm = DcgmMetrics(running.snapshots, running.events, settings.host_name)
    serve(
        endpoint({METRICS_PATH: registry_of(system), DCGM_PATH: registry_of(dcgm)}),
        settings.metrics_address,
        settings.metrics_port,
        "INFERWATCH_AGENT_METRICS_PORT",
    )


def _nowhere(_schema: str, _record: dict[str, Any]) -> None:
    """Take an event where nothing is sent to Kafka."""
