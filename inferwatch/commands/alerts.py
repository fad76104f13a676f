"""``inferwatch alerts``: look at alerts, take them, end them, and silence them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import typer

from inferwatch import alerting, options, tables
from inferwatch.commands.silences import All, silence, silences, unsilence
from inferwatch.errors import CommandError
from inferwatch.foreign_text import shown as harmless
from inferwatch_schemas.instants import moment_text
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import Registry
from inferwatch_streams.alerts.alert import (
    ACKNOWLEDGED,
    FIRING,
    PENDING,
    STATUSES,
    Alert,
    severity_rank,
)
from inferwatch_streams.commands import command as commands
from inferwatch_streams.commands.obeying import MOST_TEXT

app = typer.Typer(
    help="Look at alerts, take them, end them, and silence them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.command(
    epilog="Example: `inferwatch alerts silence service=chat 'severity=~low|medium' --for 2h`"
)(silence)
app.command()(unsilence)
app.command()(silences)

Names = Annotated[
    list[str],
    typer.Argument(help="Fingerprints, or what only one begins with.", metavar="ALERT..."),
]
Comment = Annotated[str | None, typer.Option("--comment", help="What to say of it.")]


@app.command("list")
@options.expanded
def list_(
    *, kafka: options.Kafka, registry: options.SchemaRegistry, everything: All = False
) -> None:
    """List the alerts that are pending, firing or acknowledged, the worst first."""
    alerts, _ = alerting.read(kafka, registry)
    shown = [each for each in alerts.values() if everything or each.status in alerting.ACTIVE]
    if not shown:
        typer.echo("No alerts." if everything else "No alerts now; --all shows those before.")
        return
    shown.sort(key=lambda each: (-severity_rank(each.severity), each.started_at))
    tables.show(
        ("Alert", "Severity", "Status", "Since", "Rule", "Labels", "Summary", "By", "Kept back"),
        [_row(each) for each in shown],
    )


@app.command()
@options.expanded
def show(
    *,
    name: Annotated[str, typer.Argument(help="Its fingerprint, or beginning.", metavar="ALERT")],
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
) -> None:
    """Show all that is known of an alert."""
    alerts, _ = alerting.read(kafka, registry)
    alert = alerting.find(alerts, name)
    memory = alert.memory
    rows = [
        ("Alert", alert.fingerprint),
        ("Rule", f"{alert.rule} ({alert.kind})"),
        ("Severity", alert.severity),
        ("Status", f"{alert.status} since {moment_text(_since(alert))}"),
        ("Labels", _labels(alert)),
        ("Summary", alert.summary),
        ("Description", alert.description),
        ("Value", _number(alert.value)),
        ("Threshold", _number(alert.threshold)),
        ("Samples", "" if alert.samples is None else str(alert.samples)),
        ("Runbook", alert.runbook_url or ""),
        ("Began", moment_text(alert.started_at)),
        ("Fired", _time(alert.fired_at)),
        ("Acknowledged", _time(alert.acknowledged_at)),
        ("By", alert.acknowledged_by or ""),
        ("Resolved", _time(alert.resolved_at)),
        ("Why", memory.reason or ""),
        ("Kept back", _kept(alert)),
        *((key, str(value)) for key, value in alert.found.items()),
        *(
            ("Comment", f"{moment_text(each.at)} {each.actor}: {each.text}")
            for each in memory.comments
        ),
    ]
    width = max(len(field) for field, _ in rows)
    for field, value in rows:
        if value:
            typer.echo(harmless(f"{field:<{width}}  {value}"))


@app.command(epilog="Example: `inferwatch alerts ack 3f2a --comment 'looking at it'`")
@options.expanded
def ack(
    *,
    names: Names,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    comment: Comment = None,
) -> None:
    """Take alerts that fire: others need not look at them."""
    if comment is not None:
        _check(comment)
    found = _chosen(kafka, registry, names, "acknowledged", (FIRING, ACKNOWLEDGED))
    alerting.publish(kafka, registry, commands.ACKNOWLEDGE, found)
    if comment is not None:
        alerting.publish(kafka, registry, commands.COMMENT, found, text=comment)
    _tell(commands.ACKNOWLEDGE, found)


@app.command()
@options.expanded
def unack(*, names: Names, kafka: options.Kafka, registry: options.SchemaRegistry) -> None:
    """Give alerts back: they fire again."""
    found = _chosen(kafka, registry, names, "given back", (ACKNOWLEDGED,))
    alerting.publish(kafka, registry, commands.UNACKNOWLEDGE, found)
    _tell(commands.UNACKNOWLEDGE, found)


@app.command()
@options.expanded
def resolve(
    *,
    names: Names,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    reason: Annotated[str | None, typer.Option(help="Why, for people.")] = None,
) -> None:
    """End alerts by hand; they stay so until their condition has gone once."""
    found = _chosen(kafka, registry, names, "resolved", alerting.ACTIVE)
    alerting.publish(kafka, registry, commands.RESOLVE, found, text=reason)
    _tell(commands.RESOLVE, found)


@app.command()
@options.expanded
def comment(
    *,
    name: Annotated[str, typer.Argument(help="Its fingerprint, or beginning.", metavar="ALERT")],
    text: Annotated[str, typer.Argument(help="What to say of it.")],
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
) -> None:
    """Say something of an alert."""
    _check(text)
    found = _chosen(kafka, registry, [name], "commented", STATUSES)
    alerting.publish(kafka, registry, commands.COMMENT, found, text=text)
    _tell(commands.COMMENT, found)


def _check(comment: str) -> None:
    if not comment.strip():
        raise CommandError("The comment has no text.")
    if len(comment) > MOST_TEXT:
        raise CommandError(f"The comment has more than {MOST_TEXT} characters.")


def _chosen(
    kafka: KafkaSettings,
    registry: Registry,
    names: Iterable[str],
    what: str,
    allowed: Sequence[str],
) -> Mapping[str, Alert]:
    alerts, _ = alerting.read(kafka, registry)
    found = {each.fingerprint: each for each in (alerting.find(alerts, name) for name in names)}
    for alert in found.values():
        if alert.status not in allowed:
            raise CommandError(
                f"{alert.fingerprint} is {alert.status}; only what is {' or '.join(allowed)} "
                f"can be {what}."
            )
    return found


def _tell(action: str, alerts: Mapping[str, Alert]) -> None:
    for alert in alerts.values():
        typer.echo(f"{action} {alert.fingerprint} {alert.summary}")


def _row(alert: Alert) -> tuple[str, ...]:
    return (
        alert.fingerprint,
        alert.severity,
        alert.status,
        moment_text(_since(alert)),
        alert.rule,
        _labels(alert),
        alert.summary,
        alert.acknowledged_by or "",
        _kept(alert),
    )


def _since(alert: Alert) -> int:
    times = {
        PENDING: alert.started_at,
        FIRING: alert.fired_at,
        ACKNOWLEDGED: alert.acknowledged_at,
    }
    return times.get(alert.status) or alert.resolved_at or alert.event_time


def _kept(alert: Alert) -> str:
    if alert.silence_id is not None:
        return f"silence {alert.silence_id}"
    if alert.inhibited_by is not None:
        return f"inhibited by {alert.inhibited_by}"
    return "flaps" if alert.flapping else ""


def _labels(alert: Alert) -> str:
    return ", ".join(f"{name}={value}" for name, value in alert.labels)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _time(at: int | None) -> str:
    return "" if at is None else moment_text(at)
