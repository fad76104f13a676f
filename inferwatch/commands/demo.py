"""``inferwatch demo``: the whole pipeline on this machine, to be watched."""

import contextlib
import itertools
import logging
import shlex
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import structlog
import typer
from rich.console import Console

from inferwatch import options
from inferwatch.commands.replay import INTERRUPTED, speed_factor
from inferwatch.demo.program import Program
from inferwatch.demo.session import EMBEDDED_MAX_EVENTS, Plan, Session
from inferwatch.demo.stack import Ingredients, Stack
from inferwatch.load.generator import Announcement, Generator, GeneratorSettings, announced
from inferwatch.traces import formats
from inferwatch.traces.events import TraceEvent, TraceOptions
from inferwatch_schemas.instants import now_micros
from inferwatch_schemas.kafka import KafkaSettings

KEPT_NEWS: Final = 100
PROGRAM_LOG: Final = "program.log"
FORMATS: Final = ", ".join(known.name for known in formats.FORMATS)


@options.expanded
def demo(  # noqa: PLR0913  # an option is a parameter
    *,
    trace: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT:FILE",
            help=f"Play a public trace instead of the generated load; may be given several times "
            f"with one format. Formats: {FORMATS}.",
        ),
    ] = None,
    speed: Annotated[
        str,
        typer.Option(
            metavar="X|max", help="Times the trace's own pace, or as fast as the broker takes it."
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
        str | None, typer.Option(help="Name of the trace's service, in place of the format's.")
    ] = None,
    rate: Annotated[
        float, typer.Option(help="Requests a second of the generated load.", min=0.1, max=5000)
    ] = GeneratorSettings().rate,
    seed: Annotated[int, typer.Option(help="Of all chance in the generated load.")] = 1,
    program: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="COMMAND",
            help="Run a program in place of the generated load, a monitored service for one; "
            "its variables INFERWATCH_KAFKA_* name the demo's broker.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="End by itself after so many seconds; else with Ctrl-C.", min=1),
    ] = None,
    data: options.DataDir = None,
    apache_kafka: Annotated[
        bool,
        typer.Option("--kafka", help="Run Apache Kafka (Java 17 and Maven), not the embedded one."),
    ] = False,
    kafka: options.KafkaIfNamed,
    registry_url: options.RegistryUrl = None,
    clickhouse: options.ClickHouseIfNamed,
) -> None:
    """Run the whole pipeline here: broker, ClickHouse, workers, this machine's sampler and a load.

    It shows the windows as they move, and keeps everything in a folder for `inferwatch query`.
    With a trace it ends when the trace has been played and has landed.
    """
    if apache_kafka and kafka is not None:
        raise typer.BadParameter(
            "Name a broker or have one started, not both.", param_hint="--kafka"
        )
    # Lines of a log would run through the table; that there is no GPU is none for a warning.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    command = _command(program) if program is not None else None
    if command and trace:
        raise typer.BadParameter("Name a trace or a program, not both.", param_hint="--run")
    console = Console()
    news: deque[str] = deque(maxlen=KEPT_NEWS)
    folder = (data or options.default_data_dir()).expanduser().absolute()
    if not trace and (start or service):
        raise typer.BadParameter("--start and --service need a trace.", param_hint="--trace")
    told = TraceOptions(start.replace(tzinfo=UTC) if start else None, service)
    events = _trace(trace, told) if trace else None
    factor = speed_factor(speed)
    ingredients = Ingredients(folder, kafka, apache_kafka, clickhouse, registry_url)

    def say(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True)

    with _interruptible() as interruption:
        try:
            with Stack(ingredients, say) as stack:
                interruption.starting = False
                say(f"ClickHouse: {stack.clickhouse.url}, database {stack.clickhouse.database}")
                say(f"Kafka: {stack.kafka.bootstrap_servers} ({stack.broker})")
                say(f"Schema registry: {stack.registry_url}")
                say(f"Kept in {folder}")
                if stack.embedded_broker:
                    most = "" if program else f": at most {EMBEDDED_MAX_EVENTS:,} events"
                    say(f"The embedded broker is in memory{most}.")
                with contextlib.ExitStack() as running:
                    if command is not None:
                        log = stack.logs / PROGRAM_LOG
                        say(f"What the program says: {log}")
                        run = Program(command, _variables(stack.kafka, registry_url), log)
                        plan = Plan(iter(()), 1.0, seconds, live=True, program=run)
                        running.enter_context(run)
                    elif events is not None:
                        plan = Plan(events, factor, seconds, live=False)
                    else:
                        plan = Plan(_generated(rate, seed, news), 1.0, seconds, live=True)
                    lines = Session(stack, plan, news, interruption.stop, console).run()
                    say("stopping ...")
        except KeyboardInterrupt:
            say("stopped.")
            raise typer.Exit(INTERRUPTED) from None
    for line in lines:
        say(line)


def _command(given: str) -> list[str]:
    """The words of a command, quoted as in a shell."""
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given!r}: {error}.", param_hint="--run") from error
    if not words:
        raise typer.BadParameter("The command is empty.", param_hint="--run")
    return words


def _variables(kafka: KafkaSettings, registry_url: str | None) -> dict[str, str]:
    """What a program needs to publish to the demo's broker."""
    registry = {} if registry_url is None else {"INFERWATCH_REGISTRY_URL": registry_url}
    return kafka.to_environment() | registry


def _generated(rate: float, seed: int, news: "deque[str]") -> Iterator[TraceEvent]:
    def announce(what: Announcement) -> None:
        clock = time.strftime("%H:%M:%S", time.gmtime(what.time_micros / 1e6))
        news.append(f"{clock} UTC  {what.text}")

    generator = Generator(GeneratorSettings(rate=rate), seed)
    return announced(generator.events(now_micros()), announce)


def _trace(given: list[str], told: TraceOptions) -> Iterator[TraceEvent]:
    """Events of ``FORMAT:FILE``, several of one format merged; the first has been read already.

    Raises:
        TraceError: The format is unknown, a file cannot be read, or its first row is malformed.
    """
    names, files = [], []
    for each in given:
        name, colon, file = each.partition(":")
        if not (colon and file):
            raise typer.BadParameter(
                f"{each!r} is not of the form FORMAT:FILE.", param_hint="--trace"
            )
        names.append(name)
        files.append(Path(file))
    if len(set(names)) > 1:
        raise typer.BadParameter("All traces must be of one format.", param_hint="--trace")
    events = formats.events(names[0], files, told)
    first = list(itertools.islice(events, 1))
    return itertools.chain(first, events)


@dataclass
class Interruption:
    """How Ctrl-C and SIGTERM are taken.

    Attributes:
        stop: Set by the first.
        starting: Whether the first ends what is under way at once, as a start may wait for long.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    starting: bool = True


@contextlib.contextmanager
def _interruptible() -> Iterator[Interruption]:
    """Take the first signal in an orderly way; after a second, any other ends the program."""
    interruption = Interruption()

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if interruption.stop.is_set():
            signal.signal(number, usual[number])
            return
        interruption.stop.set()
        if interruption.starting:
            raise KeyboardInterrupt

    usual: dict[int, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield interruption
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
