"""``inferwatch dead-letters``: list what could not be read, and publish it again."""

from collections import Counter, deque
from typing import Annotated

import typer

from inferwatch import dead_letters, options, tables
from inferwatch.dead_letters import Choice, DeadLetter
from inferwatch.standard_error import tell
from inferwatch_schemas.instants import micros, moment_text

app = typer.Typer(
    help="List what could not be read, and publish it again.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Topic = Annotated[str | None, typer.Option(help="Only those from this topic.")]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason.")]
Partition = Annotated[int | None, typer.Option(help="Only those from this partition.", min=0)]
Offset = Annotated[
    list[int] | None, typer.Option(help="Only those from this offset; may be given again.", min=0)
]


@app.command("list")
@options.expanded
def show(  # noqa: PLR0913  # an option is a parameter
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    topic: Topic = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(help="The newest that many.", min=1)] = 50,
    value: Annotated[bool, typer.Option("--value", help="Show the bytes too, as hex.")] = False,
) -> None:
    """List the records that could not be read as events, and why."""
    choice = Choice(topic=topic, reason=reason)
    newest: deque[DeadLetter] = deque(maxlen=limit)
    count = 0
    for letter in dead_letters.read(kafka, registry, choice, foreign=tell):
        newest.append(letter)
        count += 1
    if not count:
        typer.echo("No dead letters.")
        return
    headers = ("Topic", "Partition", "Offset", "Reason", "Found", "Detail")
    tables.show(
        (*headers, "Value") if value else headers,
        [_row(letter)[: len(headers) + value] for letter in newest],
    )
    if count > limit:
        tell(f"{count} in all; these are the newest {limit}. See --limit.")


@app.command(
    epilog="Example: `inferwatch dead-letters replay --reason unknown_schema --dry-run`",
)
@options.expanded
def replay(  # noqa: PLR0913  # an option is a parameter
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    topic: Topic = None,
    reason: Reason = None,
    partition: Partition = None,
    offset: Offset = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be published.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Publish dead letters to where they came from, after their cause was removed.

    Key, value and headers are the original ones, with a header `inferwatch_replayed_from` added.
    Which letters were replayed is not remembered: what is replayed twice is counted twice, and
    what still cannot be read becomes a dead letter again. Experiments, controls, alerts and
    incidents are left out: published again they would replace what was said since.
    """
    choice = Choice(topic, reason, partition, frozenset(offset or ()))
    chosen = set()
    places: Counter[str] = Counter()
    empty = orders = 0
    for letter in dead_letters.read(kafka, registry, choice, foreign=tell):
        if letter.is_order:
            orders += 1
        elif letter.holds_record:
            chosen.add(letter.identity)
            places[letter.topic] += 1
        else:
            empty += 1
    if empty:
        typer.echo(
            f"{empty} hold no whole record (tombstone, corrupt batch, or cut) and are left out."
        )
    if orders:
        typer.echo(f"{orders} are of compacted topics and may be out of date; left out.")
    if not places:
        typer.echo("No dead letters to publish.")
        return
    for name, of_topic in sorted(places.items()):
        typer.echo(f"{of_topic:>8}  {name}")
    if dry_run:
        typer.echo(f"Would publish {len(chosen)} records again; those replayed before count twice.")
        return
    if not yes:
        typer.confirm(
            f"Publish {len(chosen)} records again? Those replayed before will count twice.",
            abort=True,
        )
    letters = dead_letters.read(kafka, registry, choice, foreign=lambda _: None)
    # What a worker finds unreadable once more arrives here too, and must not go round for ever.
    published = dead_letters.replay(
        kafka, (letter for letter in letters if letter.identity in chosen)
    )
    typer.echo(f"Published {published} records again.")


def _row(letter: DeadLetter) -> tuple[str, ...]:
    return (
        letter.topic,
        str(letter.partition),
        str(letter.offset),
        letter.reason,
        moment_text(micros(letter.found_at)),
        letter.detail,
        "" if letter.value is None else letter.value.hex(),
    )
