"""``inferwatch topics``: create the topic catalogue on a broker, and list it."""

from typing import Annotated

import typer

from inferwatch import options, tables
from inferwatch_schemas import admin
from inferwatch_schemas.topics import DAY_MS, TOPICS, Topic

app = typer.Typer(
    help="Create and list the Kafka topics of Inferwatch.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.command(
    epilog="Example: `inferwatch topics create --bootstrap-servers kafka-1:9092 "
    "--replication-factor 3`"
)
@options.expanded
def create(
    *,
    kafka: options.Kafka,
    partitions_factor: Annotated[
        int, typer.Option(help="Times as many partitions as declared.", min=1)
    ] = 1,
    replication_factor: Annotated[
        int | None,
        typer.Option(help="Replicas of each partition; the broker's default without.", min=1),
    ] = None,
    raise_partitions: Annotated[
        bool,
        typer.Option(
            "--raise-partitions",
            help="Give existing topics that have fewer partitions more. "
            "Keys then move to other partitions.",
        ),
    ] = False,
) -> None:
    """Create the topics that do not exist; running it again changes nothing.

    A topic that exists otherwise than declared is reported and left as it is.
    """
    outcomes = admin.TopicAdmin(kafka).create(
        TOPICS,
        factor=partitions_factor,
        replication=admin.BROKERS_DEFAULT if replication_factor is None else replication_factor,
        raise_partitions=raise_partitions,
    )
    for outcome in outcomes:
        state = "created" if outcome.created else "raised" if outcome.raised else "exists"
        typer.echo(f"{'differs' if outcome.differences else state:8} {outcome.name}")
        for difference in outcome.differences:
            typer.echo(f"         {difference}")


@app.command("list")
@options.expanded
def show(kafka: options.Kafka) -> None:
    """List the topics: what they are for, and what the broker has."""
    states = admin.TopicAdmin(kafka).states(topic.name for topic in TOPICS)
    tables.show(
        ("Topic", "Partitions", "Kept", "Cleanup", "Id", "One record is"),
        [_row(topic, states.get(topic.name)) for topic in TOPICS],
    )
    if len(states) < len(TOPICS):
        typer.echo("To create the missing ones, run: inferwatch topics create")


def _row(topic: Topic, state: admin.TopicState | None) -> tuple[str, ...]:
    if state is None:
        return (topic.name, "missing", "", "", "", topic.about)
    retention = state.config.get("retention.ms")
    return (
        topic.name,
        str(state.partitions),
        "" if retention is None else _days(int(retention)),
        state.config.get("cleanup.policy", ""),
        state.id,
        topic.about,
    )


def _days(milliseconds: int) -> str:
    return "for ever" if milliseconds < 0 else f"{milliseconds / DAY_MS:g} d"
