"""``inferwatch notify``: check the file of notifications, and try its channels."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from inferwatch import tables
from inferwatch.errors import CommandError
from inferwatch_schemas.instants import now_micros
from inferwatch_streams.alerts.alert import SEVERITIES
from inferwatch_streams.notifications.configuration import (
    ChannelSettings,
    NotificationsConfiguration,
    read_configuration,
)
from inferwatch_streams.notifications.file_schema import FILE_SCHEMA
from inferwatch_streams.notifications.message import DELIVERED
from inferwatch_streams.notifications.trial import try_channel

app = typer.Typer(
    help="Check the file of notifications, and try its channels.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

File = Annotated[
    Path,
    typer.Option(
        "--file", help="The file of channels and routes.", envvar="INFERWATCH_NOTIFICATIONS_FILE"
    ),
]


@app.command()
def schema() -> None:
    """Print the JSON Schema of the file, for editors."""
    typer.echo(json.dumps(FILE_SCHEMA, indent=2))


@app.command()
def check(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="It.", envvar="INFERWATCH_NOTIFICATIONS_FILE"),
    ],
) -> None:
    """Check a file: its fields, its templates, and that its secrets are where it says."""
    configuration = read_configuration(path, os.environ)
    tables.show(
        ("Channel", "Type", "Limit", "Reached by"),
        [_row(one, configuration) for one in configuration.channels.values()],
    )
    typer.echo(f"{path}: can be used.")


@app.command("test")
def tell_of_test(
    *,
    name: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name in the file.")],
    path: File,
    severity: Annotated[
        str, typer.Option(help=f"One of {', '.join(SEVERITIES)}.", metavar="SEVERITY")
    ] = "low",
) -> None:
    """Tell a channel of a test that fires and is over, and say what it answered."""
    if severity not in SEVERITIES:
        raise CommandError(f"{severity!r} is no severity; give one of {', '.join(SEVERITIES)}.")
    channels = read_configuration(path, os.environ).channels
    if name not in channels:
        known = ", ".join(channels) or "none"
        raise CommandError(f"{path} has no channel {name!r}; there are: {known}.")
    if not asyncio.run(_try(channels[name], severity)):
        sys.exit(1)


async def _try(settings: ChannelSettings, severity: str) -> bool:
    delivered = True
    async for state, answer in try_channel(settings, severity, now_micros()):
        detail = f": {answer.detail}" if answer.detail else ""
        typer.echo(f"{state}: {answer.outcome}, {answer.status}{detail}")
        delivered &= answer.outcome == DELIVERED
    return delivered


def _row(channel: ChannelSettings, configuration: NotificationsConfiguration) -> tuple[str, ...]:
    limit = channel.manner.limit
    routes = [
        str(number)
        for number, route in enumerate(configuration.routing.routes)
        if channel.name in route.channels
    ]
    reached = f"routes[{', '.join(routes)}], incidents" if routes else "incidents"
    return (
        channel.name,
        channel.kind,
        f"{limit.messages} in {limit.seconds:g} s",
        reached,
    )
