"""``inferwatch incidents``: list and show incidents, take them, and say what is to be done."""

import json
import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from inferwatch import compacted_topics, incident_shown, options, tables
from inferwatch.errors import CommandError
from inferwatch.foreign_text import shown
from inferwatch.incident_log import incidents_now
from inferwatch_schemas.instants import moment_text, now_micros
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import Registry
from inferwatch_schemas.topics import COMMANDS
from inferwatch_streams.commands import command as commands
from inferwatch_streams.commands.command import Command
from inferwatch_streams.incidents.bounds import LINE, NAME, fitted
from inferwatch_streams.incidents.incident import Incident
from inferwatch_streams.incidents.policy_file import SCHEMA, actions_of, read_policy

NOBODY: Final = "somebody"

app = typer.Typer(
    help="List incidents, take them, and say what is to be done.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Id = Annotated[str, typer.Argument(metavar="ID", help="Of the incident; see: list.")]
Name = Annotated[str, typer.Argument(metavar="ACTION", help="Name of the response action.")]
Reason = Annotated[str | None, typer.Option(help="Why, for people.")]


@app.command("list", epilog="Example: `inferwatch incidents list --all`")
@options.expanded
def list_(
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
) -> None:
    """List the incidents that go on, the most urgent first."""
    found = [each for each in incidents_now(kafka, registry).values() if every or each.active]
    if not found:
        typer.echo("No incidents." if every else "No incident goes on; with --all, those before.")
        return
    found.sort(key=lambda each: (not each.active, each.priority, each.opened_at))
    tables.show(
        ("Incident", "Priority", "Status", "Since", "Taken by", "Alerts", "Title"),
        [
            (
                each.incident_id,
                each.priority,
                each.status,
                moment_text(each.opened_at),
                each.assignee or each.acknowledged_by or "",
                str(len(each.alerts)),
                each.title,
            )
            for each in found
        ],
    )


@app.command(epilog="Example: `inferwatch incidents show 3f2a9c51d07e8b44`")
@options.expanded
def show(incident_id: Id, *, kafka: options.Kafka, registry: options.SchemaRegistry) -> None:
    """Show one incident: its cause, alerts, actions and timeline, and where its runbook is."""
    incident_shown.show(_known(kafka, registry, incident_id))


@app.command(epilog="Example: `inferwatch incidents ack 3f2a9c51d07e8b44`")
@options.expanded
def ack(
    incident_id: Id,
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    reason: Reason = None,
) -> None:
    """Take an incident: it is escalated no more."""
    _give(kafka, registry, commands.ACKNOWLEDGE, incident_id, text=reason)


@app.command()
@options.expanded
def assign(
    incident_id: Id,
    assignee: Annotated[str, typer.Argument(metavar="WHO", help="Who has it from now on.")],
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
) -> None:
    """Give an incident to somebody."""
    _give(kafka, registry, commands.ASSIGN, incident_id, assignee=assignee)


@app.command()
@options.expanded
def investigate(
    incident_id: Id,
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    reason: Reason = None,
) -> None:
    """Say that somebody looks into it."""
    _give(kafka, registry, commands.INVESTIGATE, incident_id, text=reason)


@app.command()
@options.expanded
def mitigate(
    incident_id: Id,
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    reason: Reason = None,
) -> None:
    """Say that something is being done about it."""
    _give(kafka, registry, commands.MITIGATE, incident_id, text=reason)


@app.command()
@options.expanded
def resolve(
    incident_id: Id,
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    reason: Reason = None,
) -> None:
    """Say that it is over, whatever its alerts say."""
    _give(kafka, registry, commands.RESOLVE, incident_id, text=reason)


@app.command(epilog="Example: `inferwatch incidents comment 3f2a9c51d07e8b44 'rolled back'`")
@options.expanded
def comment(
    incident_id: Id,
    text: Annotated[str, typer.Argument(help="What to put into the timeline.")],
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
) -> None:
    """Add a line to the timeline."""
    _give(kafka, registry, commands.COMMENT, incident_id, text=text)


@app.command()
@options.expanded
def escalate(
    incident_id: Id,
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    reason: Reason = None,
) -> None:
    """Tell the next level of people now."""
    _give(kafka, registry, commands.ESCALATE, incident_id, text=reason)


@app.command()
@options.expanded
def approve(
    incident_id: Id,
    action: Name,
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    reason: Reason = None,
) -> None:
    """Have a response action run that waits for approval, was skipped, or failed."""
    _give(kafka, registry, commands.APPROVE, incident_id, text=reason, response_action=action)


@app.command()
@options.expanded
def undo(
    incident_id: Id,
    action: Name,
    *,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    reason: Reason = None,
) -> None:
    """Have a response action undone."""
    _give(kafka, registry, commands.UNDO, incident_id, text=reason, response_action=action)


@app.command(epilog="Example: `inferwatch incidents check incidents.yaml`")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of incidents.")],
) -> None:
    """Check a file of incidents, and make its actions without running them."""
    policy, read = read_policy(file)
    actions = actions_of(policy, read, os.environ)
    for priority, names in policy.sets.items():
        typer.echo(f"{priority}: {', '.join(_shown(name, policy, actions) for name in names)}")


@app.command(epilog="Example: `inferwatch incidents schema > incidents.schema.json`")
def schema() -> None:
    """Print the JSON Schema of a file of incidents, for editors."""
    typer.echo(json.dumps(SCHEMA, indent=2))


def _shown(name: str, policy: Any, actions: Any) -> str:
    configured, notes = policy.actions[name], []
    if actions[name].changes if configured.dry_run is None else configured.dry_run:
        notes.append("dry run")
    if configured.approval:
        notes.append("waits for approval")
    return f"{name} ({', '.join(notes)})" if notes else name


def _known(kafka: KafkaSettings, registry: Registry, incident_id: str) -> Incident:
    found = incidents_now(kafka, registry).get(incident_id)
    if found is None:
        raise CommandError(
            f"There is no incident {shown(incident_id)}; see: inferwatch incidents list --all"
        )
    return found


def _give(
    kafka: KafkaSettings, registry: Registry, action: str, incident_id: str, **given: Any
) -> None:
    for name, most in (("text", LINE), ("assignee", NAME)):
        _check(given.get(name), most)
    incident = _known(kafka, registry, incident_id)
    wanted = given.get("response_action")
    if wanted is not None and incident.action(wanted) is None:
        known = ", ".join(each.name for each in incident.actions) or "none"
        raise CommandError(f"Incident {incident_id} has no action {wanted}; it has: {known}.")
    command = Command(
        command_id=secrets.token_hex(8),
        event_time=now_micros(),
        actor=compacted_topics.actor() or NOBODY,
        action=action,
        target=incident_id,
        **given,
    )
    compacted_topics.publish(kafka, COMMANDS, registry, {incident_id: command.to_record()})
    typer.echo(f"{action} is on its way; see: inferwatch incidents show {incident_id}")


def _check(text: str | None, most: int) -> None:
    if text is None:
        return
    if not text.strip():
        raise CommandError("The text is empty; say something.")
    if fitted(text, most) != text:
        raise CommandError(
            f"The text is longer than {most} bytes, or no UTF-8; the incident could not hold it."
        )
