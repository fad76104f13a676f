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
#: An incident in the help.
EXAMPLE: Final = "3f2a9c51d07e8b44"

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


@app.command(epilog=f"Example: `inferwatch incidents show {EXAMPLE}`")
@options.expanded
def show(incident_id: Id, *, kafka: options.Kafka, registry: options.SchemaRegistry) -> None:
    """Show one incident: its cause, alerts, actions and timeline, and where its runbook is."""
    incident_shown.show(_known(kafka, registry, incident_id))


def _of_incidents(name: str, action: str, about: str) -> None:
    """Add a command that says no more than a reason."""

    @app.command(name, help=about, epilog=f"Example: `inferwatch incidents {name} {EXAMPLE}`")
    @options.expanded
    def give(
        incident_id: Id,
        *,
        kafka: options.Kafka,
        registry: options.SchemaRegistry,
        reason: Reason = None,
    ) -> None:
        _give(kafka, registry, action, incident_id, text=reason)


def _of_actions(name: str, action: str, about: str) -> None:
    """Add a command about a response action of an incident."""

    @app.command(
        name, help=about, epilog=f"Example: `inferwatch incidents {name} {EXAMPLE} scale_up`"
    )
    @options.expanded
    def give(
        incident_id: Id,
        response_action: Name,
        *,
        kafka: options.Kafka,
        registry: options.SchemaRegistry,
        reason: Reason = None,
    ) -> None:
        given = {"text": reason, "response_action": response_action}
        _give(kafka, registry, action, incident_id, **given)


_of_incidents("ack", commands.ACKNOWLEDGE, "Take an incident: it is escalated no more.")


@app.command(epilog=f"Example: `inferwatch incidents assign {EXAMPLE} bob`")
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


_of_incidents("investigate", commands.INVESTIGATE, "Say that somebody looks into it.")
_of_incidents("mitigate", commands.MITIGATE, "Say that something is being done about it.")
_of_incidents("resolve", commands.RESOLVE, "Say that it is over, whatever its alerts say.")


@app.command(epilog=f"Example: `inferwatch incidents comment {EXAMPLE} 'rolled back'`")
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


_of_incidents("escalate", commands.ESCALATE, "Tell the next level of people now.")
_of_actions(
    "approve",
    commands.APPROVE,
    "Have a response action run that waits for approval, was skipped, or failed.",
)
_of_actions("undo", commands.UNDO, "Have a response action undone.")


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
