"""``inferwatch replay``: public traces to Kafka, at their own times."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from inferwatch import options, replaying
from inferwatch.traces import formats
from inferwatch.traces.events import TraceOptions
from inferwatch_agents.publisher import Publisher

INTERRUPTED: Final = 130
PLAIN_LINE_SECONDS: Final = 5.0
KNOWN: Final = "\n".join(f"- `{known.name}`: {known.about}" for known in formats.FORMATS)


def speed_factor(text: str) -> float | None:
    """The factor of ``--speed``; None for ``max``.

    Raises:
        typer.BadParameter: It is neither ``max`` nor a positive number.
    """
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise typer.BadParameter(
            f"{text!r} is neither 'max' nor a positive number.", param_hint="--speed"
        )
    return factor


@options.expanded
def replay(  # noqa: PLR0913  # an option is a parameter
    format_name: Annotated[str, typer.Argument(metavar="FORMAT", help="Name of the format.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files of it, plain or gzip.")
    ],
    *,
    speed: Annotated[
        str,
        typer.Option(
            metavar="X|max", help="Times the trace's own pace, or as fast as the broker takes them."
        ),
    ] = "max",
    start: Annotated[
        datetime | None,
        typer.Option(
            help="When the trace's own clock read zero, in UTC; for formats without time of day.",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
        ),
    ] = None,
    service: Annotated[
        str | None, typer.Option(help="Name of the service, in place of the format's.")
    ] = None,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
) -> None:
    """Send a public trace to Kafka, keeping its own event times."""
    factor = speed_factor(speed)
    told = TraceOptions(start.replace(tzinfo=UTC) if start else None, service)
    events = formats.events(format_name, files, told)
    publisher = Publisher(kafka, registry)
    with _interruptible() as stop, _shown() as show:
        played = replaying.replay(
            events,
            publisher,
            speed=factor,
            sleep=stop.wait,
            stopped=stop.is_set,
            on_progress=show,
        )
    typer.echo(summary(played))
    if played.stopped:
        raise typer.Exit(INTERRUPTED)


replay.__doc__ = f"{replay.__doc__}\n\nFormats:\n\n{KNOWN}"


def summary(played: replaying.Played) -> str:
    """What was sent, in one line."""
    topics = ", ".join(f"{count:,} to {topic}" for topic, count in sorted(played.events.items()))
    total = played.events.total()
    rate = total / played.seconds if played.seconds else 0.0
    begin = "Stopped after" if played.stopped else "Sent"
    detail = f" ({topics})" if topics else ""
    return f"{begin} {total:,} events{detail} in {played.seconds:.1f} s, {rate:,.0f} events/s."


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second ends the program as usual."""
    stop = threading.Event()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, usual)

    usual = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, usual)


@contextmanager
def _shown() -> Iterator[Callable[[int], None]]:
    """What shows the number of events sent: a live line, or now and then a plain one."""
    began = time.monotonic()

    def rate(sent: int) -> float:
        return sent / max(time.monotonic() - began, 1e-3)

    if sys.stderr.isatty():
        columns = (
            SpinnerColumn(),
            TextColumn("{task.completed:,} events"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("replay", total=None, rate=0.0)
            yield lambda sent: progress.update(task, completed=sent, rate=rate(sent))
        return

    said = began

    def line(sent: int) -> None:
        nonlocal said
        if time.monotonic() - said >= PLAIN_LINE_SECONDS:
            said = time.monotonic()
            typer.echo(f"{sent:,} events, {rate(sent):,.0f}/s", err=True)

    yield line
