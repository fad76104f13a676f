"""The program ``inferwatch``: its commands, and how their errors reach a person."""

import sys
from importlib.metadata import version
from typing import Annotated

try:
    import typer
except ImportError as error:
    # Services install the libraries without the command line, and get this script all the same.
    raise SystemExit(
        "inferwatch: the command line is not installed: pip install 'inferwatch[cli]'."
    ) from error

from inferwatch.deferred import Deferred, group_of
from inferwatch.embedded.errors import EmbeddedError
from inferwatch.errors import CommandError
from inferwatch.traces.errors import TraceError
from inferwatch_agents.errors import AgentsError
from inferwatch_clickhouse.errors import ClickHouseError
from inferwatch_schemas.errors import SchemasError
from inferwatch_streams.errors import StreamsError

RUN, LOOK, STEER, SET_UP = "Run", "Look", "Steer", "Set up"
COMMANDS = (
    Deferred(
        "demo", RUN, "Run the whole pipeline here, with a load, and watch it.",
        "inferwatch.commands.demo:demo", "embedded",
    ),
    Deferred(
        "worker", RUN, "Count events into windows, and land them in ClickHouse.",
        "inferwatch.commands.worker:worker",
    ),
    Deferred(
        "agent", RUN, "Sample this host and its GPUs, to Kafka and Prometheus.",
        "inferwatch.commands.agent:agent",
    ),
    Deferred(
        "replay", RUN, "Send a public trace to Kafka, at its own times.",
        "inferwatch.commands.replay:replay",
    ),
    Deferred(
        "evaluate", RUN, "Ask a model a set of questions, and say how good it is.",
        "inferwatch.commands.evaluate:evaluate",
    ),
    Deferred(
        "query", LOOK, "Ask ClickHouse, or what a demo kept, in SQL.",
        "inferwatch.commands.query:query",
    ),
    Deferred(
        "dead-letters", LOOK, "List what could not be read, and publish it again.",
        "inferwatch.commands.dead_letters:app",
    ),
    Deferred(
        "doctor", LOOK, "Check everything a worker needs, and say what to change.",
        "inferwatch.commands.doctor:doctor",
    ),
    Deferred(
        "alerts", STEER, "Look at alerts, take them, end them, and silence them.",
        "inferwatch.commands.alerts:app",
    ),
    Deferred(
        "experiments", STEER, "Publish, list and stop A/B experiments.",
        "inferwatch.commands.experiments:app",
    ),
    Deferred(
        "controls", STEER, "Open and close circuits of services, and list those that are open.",
        "inferwatch.commands.controls:app",
    ),
    Deferred(
        "notify", STEER, "Check the file of notifications, and try its channels.",
        "inferwatch.commands.notify:app",
    ),
    Deferred(
        "rules", STEER, "Check rules, print their JSON Schema, and show those that hold.",
        "inferwatch.commands.rules:app",
    ),
    Deferred(
        "incidents", STEER, "List incidents, take them, and say what is to be done.",
        "inferwatch.commands.incidents:app",
    ),
    Deferred(
        "topics", SET_UP, "Create and list the Kafka topics.",
        "inferwatch.commands.topics:app",
    ),
    Deferred(
        "schemas", SET_UP, "Check, release and register the event schemas.",
        "inferwatch.commands.schemas:app",
    ),
    Deferred(
        "migrate", SET_UP, "Create or update the tables and views in ClickHouse.",
        "inferwatch.commands.migrate:migrate",
    ),
)  # fmt: skip

# What a component says in one sentence. Anything else is a defect and keeps its traceback.
ERRORS = (
    AgentsError,
    ClickHouseError,
    CommandError,
    EmbeddedError,
    SchemasError,
    StreamsError,
    TraceError,
)

app = typer.Typer(
    name="inferwatch",
    cls=group_of(*COMMANDS),
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # it would print the values of variables, passwords among them
    rich_markup_mode="markdown",
)


def _version(wanted: bool) -> None:  # noqa: FBT001  # Typer calls it with the flag's value
    if wanted:
        typer.echo(f"inferwatch {version('inferwatch')}")
        raise typer.Exit


@app.callback()
def inferwatch(
    *,
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Monitor AI services: events through Kafka to exact windows in ClickHouse."""


def run() -> None:
    """Run the command line.

    Exit status: 0, 1 for an error told in one sentence, 2 for wrong usage, 130 for Ctrl-C.
    """
    try:
        app(prog_name="inferwatch")  # also where it runs as python -m inferwatch
    except ERRORS as error:
        sys.exit(f"inferwatch: {error}")
