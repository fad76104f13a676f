"""``inferwatch rules``: check files of rules, print their JSON Schema, and show what holds."""

from pathlib import Path
from typing import Annotated

import typer

from inferwatch import tables
from inferwatch.errors import CommandError
from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.rules.described import needs_of, row_of
from inferwatch_streams.rules.reading import default_rules, read_rules, schema_text

app = typer.Typer(
    help="Check files of rules, print their JSON Schema, and show the rules that hold.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.command(epilog="Example: `inferwatch rules check rules.yaml`")
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files of rules.", show_default=False)
    ],
) -> None:
    """Check files of rules; what is wrong is told with file, line and field."""
    wrong = 0
    for path in files:
        try:
            rules = read_rules(path)
        except ConfigurationError as error:
            typer.echo(str(error))
            wrong += 1
            continue
        told = "1 rule is" if len(rules) == 1 else f"{len(rules)} rules are"
        typer.echo(f"{path}: {told} sound.")
        for rule in rules:
            for need in needs_of(rule):
                typer.echo(f"{path}: {rule.name}: {need}")
    if wrong:
        raise CommandError(f"{wrong} of {len(files)} files cannot be used.")


@app.command(epilog="Example: `inferwatch rules schema > rules.schema.json`")
def schema() -> None:
    """Print the JSON Schema of files of rules, with which editors complete and check."""
    typer.echo(schema_text(), nl=False)


@app.command("list", epilog="Example: `inferwatch rules list rules.yaml`")
def list_(
    file: Annotated[
        Path | None,
        typer.Argument(help="A file of rules; those that are shipped when absent."),
    ] = None,
) -> None:
    """Show the rules of a file, or those that are shipped."""
    rules = default_rules() if file is None else read_rules(file)
    tables.show(
        ("rule", "kind", "severity", "condition", "for", "by"), (row_of(rule) for rule in rules)
    )
