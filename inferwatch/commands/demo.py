"""``inferwatch demo``: the whole pipeline on this machine, to be watched."""

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer
from rich.console import Console

from inferwatch import options
from inferwatch.commands.replay import speed_factor
from inferwatch.demo.session import EMBEDDED_MAX_EVENTS, Plan, Session
from inferwatch.demo.stack import Ingredients, Stack
from inferwatch.load.generator import Announcement, Generator, GeneratorSettings, announced
from inferwatch.traces import formats
from inferwatch.traces.events import TraceEvent

KEPT_NEWS: Final = 100
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
    rate: Annotated[
        float, typer.Option(help="Requests a second of the generated load.", min=0.1, max=5000)
    ] = GeneratorSettings().rate,
    seed: Annotated[int, typer.Option(help="Of all chance in the generated load.")] = 1,
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
    console = Console()
    news: deque[str] = deque(maxlen=KEPT_NEWS)
    folder = (data or options.default_data_dir()).expanduser().absolute()
    events = _trace(trace) if trace else None
    factor = speed_factor(speed)
    ingredients = Ingredients(folder, kafka, apache_kafka, clickhouse, registry_url)

    def say(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True)

    with _interruptible() as stop, Stack(ingredients, say) as stack:
        say(f"ClickHouse: {stack.clickhouse.url}, database {stack.clickhouse.database}")
        say(f"Kafka: {stack.kafka.bootstrap_servers} ({stack.broker})")
        say(f"Schema registry: {stack.registry_url}")
        say(f"Kept in {folder}")
        if stack.embedded_broker:
            say(f"The embedded broker is in memory: at most {EMBEDDED_MAX_EVENTS:,} events.")
        if events is None:
            plan = Plan(_generated(rate, seed, news), 1.0, seconds, live=True)
        else:
            plan = Plan(events, factor, seconds, live=False)
        lines = Session(stack, plan, news, stop, console).run()
        say("stopping ...")
    for line in lines:
        say(line)


def _generated(rate: float, seed: int, news: "deque[str]") -> Iterator[TraceEvent]:
    def announce(what: Announcement) -> None:
        clock = time.strftime("%H:%M:%S", time.gmtime(what.time_micros / 1e6))
        news.append(f"{clock} UTC  {what.text}")

    generator = Generator(GeneratorSettings(rate=rate), seed)
    return announced(generator.events(time.time_ns() // 1000), announce)


def _trace(given: list[str]) -> Iterator[TraceEvent]:
    """Events of ``FORMAT:FILE``, several of one format merged.

    Raises:
        TraceError: The format is unknown, or a file cannot be read.
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
    return formats.events(names[0], files)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second ends the program as usual."""
    stop = threading.Event()

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            signal.signal(number, usual[number])
        stop.set()

    usual: dict[int, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
