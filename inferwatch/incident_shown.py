"""One incident as people read it."""

import typer

from inferwatch import tables
from inferwatch.foreign_text import shown
from inferwatch_schemas.instants import moment_text
from inferwatch_streams.incidents.incident import Incident


def show(incident: Incident) -> None:
    """Print its cause, alerts, actions and timeline, and where its runbook is."""
    typer.echo(f"{incident.incident_id}  {incident.priority}  {incident.status}")
    typer.echo(shown(incident.title))
    for name, text in _facts(incident):
        if text:
            typer.echo(f"{f'{name}:':<16}{shown(text)}")
    typer.echo("\nAlerts")
    tables.show(
        ("Alert", "Rule", "Severity", "Status", "Since", "Summary"),
        [
            (
                each.fingerprint, each.rule, each.severity, each.status,
                moment_text(each.joined_at), each.summary,
            )
            for each in incident.alerts
        ],
    )  # fmt: skip
    if incident.actions:
        typer.echo("\nResponse actions")
    for action in incident.actions:
        measured = (
            f" ({action.value_before:.4g} before, "
            f"{'unknown' if action.value_after is None else f'{action.value_after:.4g}'} after)"
            if action.value_before is not None
            else ""
        )
        undo = "; can be undone" if action.undo is not None else ""
        typer.echo(f"{action.name}: {action.status.replace('_', ' ')}{measured}{undo}")
        for line in (action.result or "").splitlines():
            typer.echo(f"    {shown(line)}")
    typer.echo("\nTimeline")
    tables.show(
        ("When", "By", "What"),
        [(moment_text(each.at), each.actor, each.text) for each in incident.timeline],
    )


def _facts(incident: Incident) -> list[tuple[str, str]]:
    return [
        ("Probable cause", incident.probable_cause or ""),
        ("Services", ", ".join(incident.services)),
        ("Models", ", ".join(incident.models)),
        ("Hosts", ", ".join(incident.hosts)),
        ("Runbook", incident.runbook_url or ""),
        ("Since", moment_text(incident.opened_at)),
        ("Taken by", _by(incident.acknowledged_by, incident.acknowledged_at)),
        ("To take by", "" if incident.acknowledged_at else moment_text(incident.acknowledge_by)),
        ("Assigned to", incident.assignee or ""),
        ("To be over by", "" if incident.resolved_at else moment_text(incident.resolve_by)),
        ("Over", _by(incident.resolved_by or "its alerts", incident.resolved_at)),
    ]


def _by(who: str | None, at: int | None) -> str:
    return "" if at is None else f"{moment_text(at)}, by {who}"
