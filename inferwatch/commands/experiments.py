"""``inferwatch experiments``: publish, list and stop A/B experiments."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from inferwatch import compacted_topics, options, tables
from inferwatch.errors import CommandError
from inferwatch.standard_error import tell
from inferwatch_agents.experiments.definition import RUNNING, STOPPED, Experiment
from inferwatch_agents.experiments.files import load_experiments
from inferwatch_agents.following import read_experiment
from inferwatch_schemas.instants import micros, moment_text, now_micros
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import Registry
from inferwatch_schemas.topics import EXPERIMENTS

app = typer.Typer(
    help="Publish, list and stop A/B experiments; services obey within seconds.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Key = Annotated[str, typer.Argument(help="Name of the experiment.")]


@app.command(epilog="Example: `inferwatch experiments put prompt.json --dry-run`")
@options.expanded
def put(
    *,
    file: Annotated[Path, typer.Argument(help="JSON: one definition, or a list.", metavar="FILE")],
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file.")] = False,
) -> None:
    """Publish the definitions in a file; each replaces the one of its name."""
    experiments = load_experiments(file)
    if not dry_run:
        before = _read(kafka, registry)
        for experiment in experiments:
            if _deals_anew(before.get(experiment.key), experiment):
                tell(f"{experiment.key} was running: some users change their variant.")
        _publish(kafka, registry, *experiments)
    for experiment in experiments:
        typer.echo(f"{'sound    ' if dry_run else 'published'} {experiment.key}")


@app.command("list")
@options.expanded
def show(*, kafka: options.Kafka, registry: options.SchemaRegistry) -> None:
    """List the experiments as they are defined now."""
    experiments = _read(kafka, registry)
    if not experiments:
        typer.echo("No experiments.")
        return
    tables.show(
        ("Experiment", "Status", "Variants", "Coverage", "Starts", "Ends", "Winner", "Metrics"),
        [_row(experiment) for _, experiment in sorted(experiments.items())],
    )


@app.command()
@options.expanded
def stop(
    *,
    key: Key,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    winner: Annotated[
        str | None, typer.Option(help="The variant that everybody gets from now on.")
    ] = None,
) -> None:
    """Stop an experiment: nobody is assigned any more, and its definition stays."""
    found = _read(kafka, registry)
    if key not in found:
        raise CommandError(f"There is no experiment {key!r}; see: inferwatch experiments list")
    _publish(kafka, registry, replace(found[key], status=STOPPED, winner=winner))
    typer.echo(f"stopped   {key}")


@app.command()
@options.expanded
def remove(*, key: Key, kafka: options.Kafka, registry: options.SchemaRegistry) -> None:
    """Remove the definition of an experiment."""
    if key not in compacted_topics.keys(kafka, EXPERIMENTS, tell):
        raise CommandError(f"There is no experiment {key!r}; see: inferwatch experiments list")
    compacted_topics.publish(kafka, EXPERIMENTS, registry, {key: None})
    typer.echo(f"removed   {key}")


def _read(kafka: KafkaSettings, registry: Registry) -> Mapping[str, Experiment]:
    return compacted_topics.read(kafka, EXPERIMENTS, partial(read_experiment, registry), tell)


def _publish(kafka: KafkaSettings, registry: Registry, *experiments: Experiment) -> None:
    now, actor = now_micros(), compacted_topics.actor()
    compacted_topics.publish(
        kafka, EXPERIMENTS, registry, {each.key: each.to_record(now, actor) for each in experiments}
    )


def _deals_anew(before: Experiment | None, after: Experiment) -> bool:
    if before is None or RUNNING not in (before.status, after.status):
        return False
    dealt = [
        (tuple(each.variants.items()), each.seed or each.key, each.namespace)
        for each in (before, after)
    ]
    return dealt[0] != dealt[1] or after.coverage < before.coverage


def _row(experiment: Experiment) -> tuple[str, ...]:
    return (
        experiment.key,
        experiment.status,
        ", ".join(f"{name} {weight:.4g}" for name, weight in experiment.variants.items()),
        f"{experiment.coverage:.4g}",
        _time(experiment.starts_at),
        _time(experiment.ends_at),
        experiment.winner or "",
        ", ".join(experiment.metrics),
    )


def _time(time: datetime | None) -> str:
    return "" if time is None else moment_text(micros(time))
