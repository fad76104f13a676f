"""What the demo shows: a table where there is room, plain lines elsewhere, a summary."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from inferwatch.demo.view import (
    Snapshot,
    live,
    plain_lines,
    seconds_text,
    status_line,
    summary_lines,
    table,
)
from inferwatch_clickhouse.alerting import ShownAlert, ShownIncident
from inferwatch_clickhouse.queries import ServiceRates, Totals

RATES = ServiceRates(
    service="checkout-assistant", model="gpt-4o-mini", requests=900, errors=90,
    requests_per_second=15.04, error_rate=0.1, p50=0.7304, p95=1.234, p99=5.678,
    tokens_per_second=12345.6, cost_usd_per_hour=1234.5,
)  # fmt: skip
UNKNOWN = replace(RATES, service="rag", model="", p50=None, p95=None, p99=None,
                  cost_usd_per_hour=None)  # fmt: skip
SHOT = Snapshot(
    until=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    seconds=60.0,
    rates=(RATES, UNKNOWN),
    sent=1234567,
    behind=12,
    dead_letters={"unknown_schema": 1, "malformed": 2},
    news=["03:04:00 UTC  an outage begins"],
)
FIGURES = ("15.0", "10.0%", "730 ms", "1.23 s", "5.68 s", "12,346", "$1,234.50")
NO_TOTALS = Totals(
    requests=0, errors=0, input_tokens=0, output_tokens=0, cost_usd=None, p50=None, p95=None,
    p99=None, first_window=None, last_window=None, measurements=0, exposures=0, conversions=0,
    evaluations=0,
)  # fmt: skip


def shown(width: int, shot: Snapshot = SHOT) -> str:
    """What a terminal of a width shows."""
    console = Console(
        file=io.StringIO(), width=width, height=40, force_terminal=True, no_color=True
    )
    with console.capture() as capture:
        console.print(live(shot, console))
    return capture.get()


@pytest.mark.parametrize("width", [30, 40, 60, 79, 80, 90, 100, 140])
def test_no_figure_is_cut_at_any_width(width: int) -> None:
    """Every figure is whole whatever the width, and nothing is abbreviated."""
    text = " ".join(shown(width).split())
    for figure in FIGURES:
        assert figure in text
    assert "…" not in text


def test_a_table_where_there_is_room_and_lines_where_not() -> None:
    """Borders appear on a wide terminal only; both end with the status and the news."""
    wide, narrow = shown(140), shown(60)
    assert "┃" in wide
    assert "┃" not in narrow
    for text in (wide, narrow):
        assert "1,234,567 events sent, 12 behind, 3 dead letters" in " ".join(text.split())
        assert text.rstrip().endswith("03:04:00 UTC  an outage begins")


def test_the_table_is_shown_from_the_width_it_needs() -> None:
    """There is one width below which there are lines, and from which on there is the table."""
    tables = ["┃" in shown(width) for width in range(60, 141)]
    assert tables == sorted(tables)
    assert tables[0] is False
    assert tables[-1] is True


def test_words_in_brackets_are_no_markup() -> None:
    """A service's name is shown as it is, even where it reads as markup."""
    odd = replace(SHOT, rates=(replace(RATES, service="[red]s[/red]"),))
    assert "[red]s[/red]" in shown(60, odd)


def test_the_table_has_a_row_for_each_rate() -> None:
    """Each service and model has its row; before the first event the title says so."""
    assert table(SHOT).row_count == len(SHOT.rates)
    assert table(replace(SHOT, until=None)).title == (
        "Requests, last 60 s of event time until no events yet"
    )


def test_plain_lines() -> None:
    """The pipeline's line comes first, with its time, and then a line a service and model."""
    assert plain_lines(SHOT) == [
        (
            "until 2026-01-02 03:04:05 UTC: 1,234,567 events sent, 12 behind, 3 dead letters "
            "(2 malformed, 1 unknown_schema)"
        ),
        (
            "  checkout-assistant gpt-4o-mini: 15.0 req/s, 10.0% errors, p50 730 ms, p95 1.23 s, "
            "p99 5.68 s, 12,346 tokens/s, $1,234.50/h"
        ),
        "  rag -: 15.0 req/s, 10.0% errors, p50 -, p95 -, p99 -, 12,346 tokens/s, -/h",
    ]


def test_status_line_without_dead_letters() -> None:
    """No reasons are listed where nothing was buried."""
    assert status_line(replace(SHOT, dead_letters={})) == (
        "1,234,567 events sent, 12 behind, 0 dead letters"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0004, "0 ms"), (0.25, "250 ms"), (1.0, "1.00 s")]
)
def test_seconds_text(value: float | None, text: str) -> None:
    """Below a second there are milliseconds."""
    assert seconds_text(value) == text


def test_summary_of_nothing_says_where_nothing_is() -> None:
    """An empty folder is told as such, and the hint quotes the folder for a shell."""
    lines = summary_lines(NO_TOTALS, Path("/tmp/a b"))  # noqa: S108  # never opened
    assert lines[:3] == [
        "In this folder, earlier demos included:",
        "  nothing was counted",
        "Ask for more:",
    ]
    assert lines[3].startswith("  inferwatch query --data '/tmp/a b' \"SELECT ")


def test_summary_of_everything() -> None:
    """Requests, tokens, cost, exposures and measurements each have their figure."""
    totals = replace(
        NO_TOTALS, requests=2000, errors=30, input_tokens=5000, output_tokens=7000, cost_usd=1.5,
        p50=0.5, p95=1.5, p99=2.5, measurements=44, exposures=11, conversions=3,
        evaluations=7,
        first_window=datetime(2026, 1, 1, tzinfo=UTC), last_window=datetime(2026, 1, 2, tzinfo=UTC),
    )  # fmt: skip
    assert summary_lines(totals, Path("d"), place="database")[:6] == [
        "In this database, earlier demos included:",
        (
            "  2,000 requests between 2026-01-01 00:00:00 and 2026-01-02 00:00:00 UTC: "
            "1.50% errors, p50 500 ms, p95 1.50 s, p99 2.50 s"
        ),
        "  5,000 input and 7,000 output tokens, $1.50",
        "  11 exposures, 3 conversions",
        "  7 evaluations",
        "  44 measurements of resources",
    ]


AT = datetime(2026, 1, 2, 3, 4, 0, tzinfo=UTC)
ALERT = ShownAlert(
    status="firing", severity="critical", rule="HighErrorRate", labels=(("service", "chat"),),
    summary="chat: 88 % of requests fail", runbook_url="docs/runbooks/high-error-rate.md",
    fired_at=AT, resolved_at=None, kept_quiet=False,
)  # fmt: skip
INCIDENT = ShownIncident(
    incident_id="i1", priority="P1", status="open", title="chat fails",
    probable_cause="GPU 0 of host a is full", runbook_url="docs/runbooks/gpu.md", opened_at=AT,
    acknowledge_by=datetime(2026, 1, 2, 3, 9, 0, tzinfo=UTC), acknowledged_by=None,
    resolved_at=None, alerts=2, actions=(("collect_logs", "succeeded"),),
)  # fmt: skip


def test_incidents_and_alerts_are_told_with_cause_and_runbook() -> None:
    """On a terminal and in plain lines alike, between the status and the news."""
    shot = replace(SHOT, alerts=(ALERT,), incidents=(INCIDENT,))
    expected = [
        "INCIDENT P1 open i1: chat fails (since 03:04:00, to be taken by 03:09:00, alerts: 2)",
        "  probable cause: GPU 0 of host a is full",
        "  runbook: docs/runbooks/gpu.md",
        "  response: collect_logs succeeded",
        (
            "FIRING critical: chat: 88 % of requests fail"
            " (since 03:04:00, runbook: docs/runbooks/high-error-rate.md)"
        ),
    ]
    assert plain_lines(shot)[-5:] == [f"  {line}" for line in expected]
    text = " ".join(shown(140, shot).split())
    for line in expected:
        assert " ".join(line.split()) in text


def test_what_is_over_says_until_when() -> None:
    """A resolved alert needs no runbook; what is kept from people says so."""
    over = replace(ALERT, status="resolved", resolved_at=AT)
    taken = replace(INCIDENT, acknowledged_by="kim", actions=(), runbook_url=None)
    quiet = replace(ALERT, kept_quiet=True, runbook_url=None)
    lines = plain_lines(replace(SHOT, alerts=(over, quiet), incidents=(taken,)))
    assert "taken by kim" in lines[-4]
    assert lines[-2].endswith("requests fail (resolved 03:04:00)")
    assert lines[-1].endswith("requests fail (since 03:04:00, kept quiet)")


def test_of_many_alerts_the_first_are_told() -> None:
    """The others are counted."""
    assert plain_lines(replace(SHOT, alerts=(ALERT,) * 11))[-1] == "  ... and 3 more alerts"
