"""``inferwatch schemas``: check and release the event schemas, and register them."""

from pathlib import Path
from typing import Annotated

import typer

from inferwatch_schemas import releases, releasing
from inferwatch_schemas.errors import SchemaRefusedError
from inferwatch_schemas.registry import ConfluentRegistry
from inferwatch_schemas.topics import TOPICS

app = typer.Typer(
    help="Check, release and register the event schemas.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Folder = Annotated[
    Path,
    typer.Option(
        "--folder",
        help="Where NAME.avsc and released/ are; by default those of this installation.",
        exists=True,
        file_okay=False,
        show_default=False,
    ),
]
OURS = Path(str(releases.AVRO))


@app.command()
def check(folder: Folder = OURS) -> None:
    """Check every schema against its releases and against what the reader can take."""
    found = releasing.check(folder)
    if folder == OURS:
        found += _catalogue_problems()
    for sentence in found:
        typer.echo(sentence)
    if found:
        raise SchemaRefusedError(f"{len(found)} problems with the schemas in {folder}.")
    names = len(list(folder.glob("*.avsc")))
    typer.echo(f"{names} schemas, {len(releasing.pins(folder))} releases: compatible and readable.")


@app.command()
def release(
    name: Annotated[str, typer.Argument(help="Name of the schema, for example request.")],
    folder: Folder = OURS,
) -> None:
    """Release the current text of a schema: from then on it is never edited."""
    pin = releasing.release(folder, name)
    typer.echo(f"Released {folder / 'released' / pin.file} with id {pin.id}.")


@app.command(
    epilog="Example: `inferwatch schemas register --registry http://127.0.0.1:8080/apis/ccompat/v7`"
)
def register(
    registry_url: Annotated[
        str,
        typer.Option(
            "--registry",
            metavar="URL",
            help="Base URL of a schema registry with Confluent's API.",
            envvar="INFERWATCH_REGISTRY_URL",
        ),
    ],
) -> None:
    """Register all releases with a registry; running it again changes nothing."""
    registry = ConfluentRegistry(registry_url)
    registry.require_backward()
    for each in releases.releases():
        typer.echo(f"id {registry.register(each):>5}  {each.name}, release {each.version}")


def _catalogue_problems() -> list[str]:
    carried = {schema for topic in TOPICS for schema in topic.schemas}
    current = set(releases.current_names())
    return [
        *(f"{name}.avsc is carried by no topic: add it to one." for name in current - carried),
        *(f"A topic carries {name}, but there is no {name}.avsc." for name in carried - current),
    ]
