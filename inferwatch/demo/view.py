"""What a demo shows: a live table on a terminal, plain lines elsewhere. Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from inferwatch.demo.alerting_view import alerting_lines
from inferwatch_clickhouse.alerting import ShownAlert, ShownIncident
from inferwatch_clickhouse.queries import ServiceRates, Totals

MANY_ERRORS: Final = 0.05
# Wider than any table, to measure what it needs: measured against a console it is cut to that.
ANY_WIDTH: Final = 10_000
EXAMPLE: Final = (
    "SELECT window_start, service, model, requests, error_rate, p50, p95, p99 "
    "FROM requests_1m ORDER BY window_start DESC LIMIT 10"
)


@dataclass(frozen=True)
class Snapshot:
    """One moment of a demo.

    Attributes:
        until: Time of the newest events shown; None before the first.
        seconds: Length of the stretch of event time that the rates are over.
        rates: By service and model.
        sent: Events that the broker has acknowledged, of this demo's load.
        behind: Of these, how many are not yet counted.
        dead_letters: Records that could not be read, by reason.
        news: Lines to show below the table, oldest first.
        alerts: Those that fire, and those that did of late.
        incidents: Those that are open, and those that were of late.
    """

    until: datetime | None
    seconds: float
    rates: tuple[ServiceRates, ...]
    sent: int
    behind: int
    dead_letters: dict[str, int] = field(default_factory=dict)
    news: Sequence[str] = ()
    alerts: Sequence[ShownAlert] = ()
    incidents: Sequence[ShownIncident] = ()


def seconds_text(value: float | None) -> str:
    """A duration, with the unit that suits it; a dash for none."""
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def _cost(value: float | None) -> str:
    return "-" if value is None else f"${value:,.2f}"


def status_line(shot: Snapshot) -> str:
    """How far the pipeline is, in a line."""
    buried = sum(shot.dead_letters.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(shot.dead_letters.items()))
    return f"{shot.sent:,} events sent, {shot.behind:,} behind, {buried:,} dead letters" + (
        f" ({reasons})" if reasons else ""
    )


def live(shot: Snapshot, console: Console) -> RenderableType:
    """The table where the console is wide enough for all its figures, else plain lines."""
    shown = table(shot)
    room = console.options.update(max_width=ANY_WIDTH)
    if Measurement.get(console, room, shown).maximum > console.width:
        return Group(*(Text(line) for line in (*plain_lines(shot), *shot.news)))
    alerting = alerting_lines(shot.alerts, shot.incidents)
    return Group(shown, *(Text(line) for line in (status_line(shot), *alerting, *shot.news)))


def table(shot: Snapshot) -> Table:
    """Requests by service and model, one row each."""
    when = "no events yet" if shot.until is None else f"{shot.until:%Y-%m-%d %H:%M:%S} UTC"
    shown = Table(
        title=f"Requests, last {shot.seconds:.0f} s of event time until {when}",
        title_justify="left",
    )
    for name in ("service", "model"):
        shown.add_column(name)
    for name in ("req/s", "errors", "p50", "p95", "p99", "tokens/s", "cost/h"):
        shown.add_column(name, justify="right")
    for rate in shot.rates:
        errors = Text(f"{rate.error_rate:.1%}", "red" if rate.error_rate > MANY_ERRORS else "")
        shown.add_row(
            rate.service, rate.model or "-", f"{rate.requests_per_second:.1f}", errors,
            seconds_text(rate.p50), seconds_text(rate.p95), seconds_text(rate.p99),
            f"{rate.tokens_per_second:,.0f}", _cost(rate.cost_usd_per_hour),
        )  # fmt: skip
    return shown


def plain_lines(shot: Snapshot) -> list[str]:
    """The same for a log: one line a service and model, and one for the pipeline."""
    lines = [
        f"{rate.service} {rate.model or '-'}: {rate.requests_per_second:.1f} req/s, "
        f"{rate.error_rate:.1%} errors, p50 {seconds_text(rate.p50)}, "
        f"p95 {seconds_text(rate.p95)}, p99 {seconds_text(rate.p99)}, "
        f"{rate.tokens_per_second:,.0f} tokens/s, {_cost(rate.cost_usd_per_hour)}/h"
        for rate in shot.rates
    ]
    when = "" if shot.until is None else f"until {shot.until:%Y-%m-%d %H:%M:%S} UTC: "
    alerting = alerting_lines(shot.alerts, shot.incidents)
    return [f"{when}{status_line(shot)}", *(f"  {line}" for line in (*lines, *alerting))]


def summary_lines(totals: Totals, data: Path, *, place: str = "folder") -> list[str]:
    """What everything came to, also of earlier demos, and how to ask for more.

    Args:
        totals: Of all that was ever counted there.
        data: Folder of the demo.
        place: Where the totals are kept, in a word.
    """
    lines = []
    if totals.requests:
        lines.append(
            f"{totals.requests:,} requests between {totals.first_window:%Y-%m-%d %H:%M:%S} and "
            f"{totals.last_window:%Y-%m-%d %H:%M:%S} UTC: "
            f"{totals.errors / totals.requests:.2%} errors, "
            f"p50 {seconds_text(totals.p50)}, p95 {seconds_text(totals.p95)}, "
            f"p99 {seconds_text(totals.p99)}"
        )
        lines.append(
            f"{totals.input_tokens:,} input and {totals.output_tokens:,} output tokens"
            + ("" if totals.cost_usd is None else f", ${totals.cost_usd:,.2f}")
        )
    if totals.exposures:
        lines.append(f"{totals.exposures:,} exposures, {totals.conversions:,} conversions")
    if totals.evaluations:
        lines.append(f"{totals.evaluations:,} evaluations")
    if totals.measurements:
        lines.append(f"{totals.measurements:,} measurements of resources")
    return [
        f"In this {place}, earlier demos included:",
        *(f"  {line}" for line in lines or ["nothing was counted"]),
        "Ask for more:",
        f'  inferwatch query --data {shlex.quote(str(data))} "{EXAMPLE}"',
    ]
