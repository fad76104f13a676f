"""The commands of ``inferwatch alerts`` that make, end and list silences."""

import secrets
from collections.abc import Iterable
from typing import Annotated, Final

import typer

from inferwatch import alerting, options, tables
from inferwatch.errors import CommandError
from inferwatch_schemas.instants import moment_text, now_micros
from inferwatch_streams.alerts.matcher import Matcher, all_match
from inferwatch_streams.commands import command as commands
from inferwatch_streams.configuration.durations import duration

LONGEST: Final = duration("3653d")

All = Annotated[bool, typer.Option("--all", help="Those that are over, too.")]


@options.expanded
def silence(
    *,
    matchers: Annotated[
        list[str],
        typer.Argument(
            help='All must match: service="chat", model!=small, severity=~"low|medium"; labels of '
            "alerts, and rule and severity.",
            metavar="MATCHER...",
        ),
    ],
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
    length: Annotated[str, typer.Option("--for", help="For how long: 30m, 2h, 3d.")] = "1h",
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
) -> None:
    """Keep alerts from people for a while; those that still fire at its end are told then."""
    found = _matchers(matchers)
    try:
        lasts = duration(length)
    except ValueError as error:
        raise CommandError(f"--for: {error}") from error
    if not 0 < lasts <= LONGEST:
        raise CommandError(f"--for: {length!r} is no time at all, or more than ten years.")
    ends_at = now_micros() + lasts
    silence_id = secrets.token_hex(4)
    alerts, _ = alerting.read(kafka, registry)
    matching = [
        each
        for each in alerts.values()
        if each.status in alerting.ACTIVE and all_match(found, each.matched)
    ]
    alerting.publish(
        kafka,
        registry,
        commands.SILENCE,
        [silence_id],
        text=reason or None,
        ends_at=ends_at,
        matchers=found,
    )
    typer.echo(
        f"silence {silence_id} until {moment_text(ends_at)}; it matches {len(matching)} of the "
        "alerts that are active now"
    )


@options.expanded
def unsilence(
    *,
    ids: Annotated[list[str], typer.Argument(help="Ids of silences.", metavar="SILENCE...")],
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
) -> None:
    """End silences."""
    _, known = alerting.read(kafka, registry)
    for each in ids:
        if each not in known:
            raise CommandError(f"There is no silence {each!r}; see: inferwatch alerts silences")
        if known[each].ends_at <= now_micros():
            raise CommandError(f"The silence {each!r} is over already.")
    alerting.publish(kafka, registry, commands.UNSILENCE, ids)
    for each in ids:
        typer.echo(f"unsilence {each}")


@options.expanded
def silences(
    *, kafka: options.Kafka, registry: options.SchemaRegistry, everything: All = False
) -> None:
    """List the silences that hold or will hold; maintenance windows are in the rules file."""
    _, found = alerting.read(kafka, registry)
    now = now_micros()
    shown = [each for each in found.values() if everything or each.ends_at > now]
    if not shown:
        typer.echo("No silences.")
        return
    shown.sort(key=lambda each: each.ends_at)
    tables.show(
        ("Silence", "Matchers", "From", "Until", "Reason", "By"),
        [
            (
                each.silence_id,
                ", ".join(map(str, each.matchers)),
                moment_text(each.starts_at),
                f"{moment_text(each.ends_at)}{' (over)' if each.ends_at <= now else ''}",
                each.reason,
                each.actor,
            )
            for each in shown
        ],
    )


def _matchers(written: Iterable[str]) -> tuple[Matcher, ...]:
    found = tuple(Matcher.parse(text) for text in written)
    if all_match(found, {}):
        raise CommandError("That would match every alert; name a label and its value.")
    return found
