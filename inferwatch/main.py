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

from inferwatch.commands import dead_letters, schemas, topics
from inferwatch.embedded.errors import EmbeddedError
from inferwatch_schemas.errors import SchemasError

# What a component says in one sentence. Anything else is a defect and keeps its traceback.
ERRORS = (SchemasError, EmbeddedError)

RUN = "Run"
LOOK = "Look"
SET_UP = "Set up"

app = typer.Typer(
    name="inferwatch",
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


app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=LOOK)
app.add_typer(topics.app, name="topics", rich_help_panel=SET_UP)
app.add_typer(schemas.app, name="schemas", rich_help_panel=SET_UP)


def run() -> None:
    """Run the command line.

    Exit status: 0, 1 for an error told in one sentence, 2 for wrong usage, 130 for Ctrl-C.
    """
    try:
        app()
    except ERRORS as error:
        sys.exit(f"inferwatch: {error}")
