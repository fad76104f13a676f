"""``inferwatch controls``: open and close circuits of services, and list those that are open."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Final

import typer

from inferwatch import compacted_topics, options, tables
from inferwatch.errors import CommandError
from inferwatch.standard_error import tell
from inferwatch_agents.controls.control import END_ARM, OPEN_CIRCUIT, SHED_LOAD, Control
from inferwatch_agents.following import read_control
from inferwatch_schemas.instants import moment_text, now_micros
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import Registry
from inferwatch_schemas.topics import CONTROLS

MINUTE_MICROS: Final = 60_000_000
YEAR_MINUTES: Final = 366 * 24 * 60

app = typer.Typer(
    help="Open and close circuits of services, and list those that are open.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Service = Annotated[str | None, typer.Option(help="Calls of this service only.")]
Environment = Annotated[str | None, typer.Option(help="In this environment only.")]
Model = Annotated[str | None, typer.Option(help="Calls of this model only, as requested.")]
Endpoint = Annotated[str | None, typer.Option(help="Calls for this route only.")]
Arm = Annotated[
    str | None,
    typer.Option(help="No calls, but this arm of an experiment.", metavar="EXPERIMENT/VARIANT"),
]


@app.command(
    "open",
    epilog="Example: `inferwatch controls open --model gpt-4.1 --minutes 30 --reason 'times out'`",
)
@options.expanded
def open_(  # noqa: PLR0913  # an option is a parameter
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    service: Service = None,
    environment: Environment = None,
    model: Model = None,
    endpoint: Endpoint = None,
    arm: Arm = None,
    shed: Annotated[
        float | None, typer.Option(help="Stop only this share of the calls.", metavar="RATIO")
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="It is over by itself after that.", min=0.1, max=YEAR_MINUTES)
    ] = 60.0,
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
    incident: Annotated[str | None, typer.Option(help="Id of the incident it answers.")] = None,
) -> None:
    """Stop calls, or an arm of an experiment; replaces what holds for the same target.

    Only calls that were given a fallback or a guard are stopped.
    """
    now = now_micros()
    ends = now + round(minutes * MINUTE_MICROS)
    experiment, variant = _arm(arm)
    if "" in (service, environment, model):
        # As from a variable of a script that is not set: it would stop nothing.
        raise CommandError("--service, --environment or --model is empty; leave it out.")
    if arm is not None and any(each is not None for each in (model, endpoint, shed)):
        raise CommandError("--arm ends an arm for all; leave out --model, --endpoint and --shed.")
    action = OPEN_CIRCUIT if shed is None else SHED_LOAD
    control = Control(
        action=action if arm is None else END_ARM,
        service=service,
        environment=environment,
        model=model,
        endpoint=endpoint,
        experiment=experiment,
        variant=variant,
        ratio=shed,
        expires_at=ends,
        reason=reason,
        incident_id=incident,
        actor=compacted_topics.actor(),
    )
    records = {control.target: control.to_record(now)}
    compacted_topics.publish(kafka, CONTROLS, registry, records)
    typer.echo(f"{control.action} {control.target} until {moment_text(ends)}")


@app.command()
@options.expanded
def close(  # noqa: PLR0913  # an option is a parameter
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    service: Service = None,
    environment: Environment = None,
    model: Model = None,
    endpoint: Endpoint = None,
    arm: Arm = None,
) -> None:
    """End the control of exactly this target."""
    experiment, variant = _arm(arm)
    target = Control(
        action=OPEN_CIRCUIT if arm is None else END_ARM,
        service=service,
        environment=environment,
        model=model,
        endpoint=endpoint,
        experiment=experiment,
        variant=variant,
    ).target
    if target not in compacted_topics.keys(kafka, CONTROLS, tell):
        raise CommandError(f"Nothing controls {target}; see: inferwatch controls list")
    compacted_topics.publish(kafka, CONTROLS, registry, {target: None})
    typer.echo(f"closed {target}")


@app.command("list")
@options.expanded
def show(*, kafka: options.Kafka, registry: options.SchemaRegistry) -> None:
    """List the controls, those that are over by themselves too."""
    controls = _read(kafka, registry)
    if not controls:
        typer.echo("No controls.")
        return
    now = now_micros()
    tables.show(
        ("Target", "Action", "Until", "Reason", "Incident", "By"),
        [_row(control, now) for _, control in sorted(controls.items())],
    )


def _read(kafka: KafkaSettings, registry: Registry) -> Mapping[str, Control]:
    return compacted_topics.read(kafka, CONTROLS, partial(read_control, registry), tell)


def _arm(arm: str | None) -> tuple[str | None, str | None]:
    if arm is None:
        return None, None
    experiment, slash, variant = arm.partition("/")
    if not (experiment and slash and variant):
        raise CommandError(f"--arm is {arm!r}; write EXPERIMENT/VARIANT.")
    return experiment, variant


def _row(control: Control, now: int) -> tuple[str, ...]:
    over = control.expires_at is not None and control.expires_at <= now
    action = control.action if control.ratio is None else f"{control.action} {control.ratio:.4g}"
    return (
        control.target,
        action,
        "it is closed"
        if control.expires_at is None
        else f"{moment_text(control.expires_at)}{' (over)' if over else ''}",
        control.reason,
        control.incident_id or "",
        control.actor or "",
    )
