"""``inferwatch doctor``: what is wrong, and what to change."""

from typing import Final

import typer
from rich.console import Console
from rich.text import Text

from inferwatch import checks, options
from inferwatch.checks import Level

STYLES: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


@options.expanded
def doctor(
    *,
    kafka: options.Kafka,
    registry_url: options.RegistryUrl = None,
    clickhouse: options.ClickHouse,
    data: options.DataDir = None,
) -> None:
    """Check broker, topics, codecs, registry, ClickHouse, clock and disk, and say what to change.

    Changes nothing. Exit status 1 when there is a problem.
    """
    findings = [
        checks.check_versions(),
        checks.check_codecs(),
        checks.check_numba(),
        *checks.check_kafka(kafka),
        *checks.check_registry(registry_url),
        *checks.check_clickhouse(clickhouse),
        checks.check_disk(data or options.default_data_dir()),
    ]
    console = Console(soft_wrap=True, highlight=False)
    for finding in findings:
        level = Text(f"{finding.level.value:8} ", style=STYLES[finding.level])
        console.print(level + f"{finding.what:11} {finding.found}")
        if finding.advice:
            console.print(Text(" " * 21 + finding.advice))
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise typer.Exit(1)
