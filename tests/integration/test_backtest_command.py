"""``inferwatch rules backtest``: rules over the aggregates that ClickHouse has."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from avro_rows import store
from typer.testing import CliRunner, Result

from inferwatch.commands.rules import app
from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch.errors import CommandError
from inferwatch.stored_aggregates import first_window, stored_rows
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_streams.backtest.chunks import PastWindows
from inferwatch_streams.errors import ConfigurationError

NOON = 1_700_136_000_000  # 2023-11-16 12:00:00 UTC, in milliseconds
MICROS = 1000
RULES = """
rules:
  - name: errors
    kind: threshold
    severity: medium
    measure: error_rate
    by: [service]
    window: 1m
    above: 0.05
    for: 30s
    summary: "{service} fails"
"""
REQUESTS: dict[str, Any] = {
    "signal": "requests.v1",
    "service": "chat",
    "window_seconds": 10,
    "topic_id": "t",
    "version": 1,
}


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """Yield a ClickHouse with half an hour of requests, in which an outage was."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with EmbeddedClickHouse(folder / "data", folder) as server:
        settings = ClickHouseSettings(url=server.url)
        migrate(settings)
        client = ClickHouse(settings)
        store(client, "request_aggregate", _requests())
        store(client, "resource_aggregate", _samples())
        store(client, "evaluation_aggregate", _scores())
        yield client


def _requests() -> Iterator[dict[str, Any]]:
    for window in range(180):
        start = NOON + window * 10_000
        bad = 8 if 60 <= window < 90 else 0
        yield {**REQUESTS, "window_start": start, "block": window // 50, "requests": 20,
               "errors": bad, "error_types": ["500"] * bool(bad),
               "error_type_counts": [bad] * bool(bad), "durations": 2,
               "duration_bin_indexes": [3, 5], "duration_bin_counts": [1, 1]}  # fmt: skip
    # Another block's share of the first window, and an older version of it.
    late = {**REQUESTS, "window_start": NOON, "block": 9, "duration_bin_indexes": [5, 9]}
    yield {**late, "version": 7, "requests": 3, "duration_bin_counts": [2, 1], "durations": 3}
    yield {**late, "version": 6, "requests": 2, "duration_bin_counts": [1, 1], "durations": 2}


def _samples() -> Iterator[dict[str, Any]]:
    for block, value in enumerate((Decimal("70.5"), Decimal("-2.25"))):
        yield {"signal": "resources.v1", "host": "h", "device": "", "metric": "queue_size",
               "window_start": NOON, "window_seconds": 10, "topic_id": "r", "block": block,
               "version": 1, "samples": 1, "value_sum": value, "value_min": float(value),
               "value_max": float(value)}  # fmt: skip


def _scores() -> Iterator[dict[str, Any]]:
    yield {"signal": "evaluations.v1", "service": "chat", "metric": "accuracy", "kind": "judge",
           "window_start": NOON + 10_000, "window_seconds": 10, "topic_id": "e", "version": 1,
           "evaluations": 2, "errors": 2, "score_min": None, "score_max": None}  # fmt: skip


def run(clickhouse: ClickHouse, *arguments: object) -> Result:
    """The command, as a shell would."""
    url = clickhouse.settings.url
    words = ["backtest", "--clickhouse-url", url, *map(str, arguments)]
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_rows_of_all_blocks_are_added_up_in_the_order_of_windows(clickhouse: ClickHouse) -> None:
    """Of each row the newest version, and every kind of measure in its own way."""
    begin, end = NOON * MICROS, (NOON + 3_600_000) * MICROS
    assert first_window(clickhouse) == begin
    rows = list(stored_rows(clickhouse, begin, end))
    assert [start for start, _, _ in rows] == sorted(start for start, _, _ in rows)
    assert len(rows) == 180 + 1 + 1
    first = {signal: fields for start, signal, fields in rows if start == begin}
    assert first["requests.v1"]["requests"] == 23
    bins = zip(
        first["requests.v1"]["duration_bin_indexes"],
        first["requests.v1"]["duration_bin_counts"],
        strict=True,
    )
    assert dict(bins) == {3: 1, 5: 3, 9: 1}
    queue = first["resources.v1"]
    assert (queue["value_sum"], queue["value_min"], queue["value_max"]) == (
        Decimal("68.25"), -2.25, 70.5,
    )  # fmt: skip
    (scores,) = (fields for _, signal, fields in rows if signal == "evaluations.v1")
    assert scores["score_min"] is None
    windows = PastWindows(iter(rows)).at(end)
    found = windows.totals("requests.v1", begin, end, ("service",))
    assert found.measures["requests"].tolist() == [3603]
    assert found.measures["errors"].tolist() == [240]
    assert windows.totals("resources.v1", begin, end, ()).measures["value_sum"] == [68.25]
    assert windows.totals("evaluations.v1", begin, end, ()).measures["evaluations"] == [2]


def test_an_outage_is_shown_with_its_time_and_its_score(
    clickhouse: ClickHouse, tmp_path: Path
) -> None:
    """What fired, when and for how long; and how good that was by the labels."""
    rules, labels = tmp_path / "rules.yaml", tmp_path / "labels.csv"
    rules.write_text(RULES, encoding="utf-8")
    labels.write_text(
        "start,end,name,service\n"
        "2023-11-16T12:10Z,2023-11-16T12:10:30Z,outage,chat\n"
        "2023-11-16T12:20Z,2023-11-16T12:25Z,unseen,chat\n"
        "2023-11-17T12:20Z,2023-11-17T12:25Z,later,chat\n",
        encoding="utf-8",
    )
    shown = run(
        clickhouse, "--from", "2023-11-16T12:00", "--to", "2023-11-16T13:30+01:00",
        "--rules", rules, "--labels", labels,
    )  # fmt: skip
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[1].split()[:5] == [
        "errors", "medium", "service=chat", "2023-11-16", "12:10:40Z",
    ]  # fmt: skip
    # Until a minute after the outage.
    assert lines[1].split()[5:] == ["320s", "0.4", "0.05"]
    assert lines[2] == "1 episodes in 181 ticks."
    (scored,) = (line.split() for line in lines if line.startswith("all "))
    assert scored == ["all", "1", "0", "1", "1", "1.000", "0.500", "40s"]
    assert lines[-1] == "Missed: unseen."
    assert "1 of 3 incidents are outside" in shown.stderr
    ever = run(
        clickhouse, "--from", "0001-01-01", "--to", "2023-11-16T12:30", "--rules", rules,
    )  # fmt: skip
    assert ever.stdout.splitlines()[1] == lines[1], "there are no ticks before the first row"
    strict = run(
        clickhouse, "--from", "2023-11-16T12:00", "--to", "2023-11-16T12:30",
        "--rules", rules, "--labels", labels, "--grace", "0s",
    )  # fmt: skip
    assert "Missed: outage, unseen." in strict.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "noon"), "'noon' is no time"),
        (("--from", "2h", "--step", "15s"), "15s is no multiple of 10s"),
        (("--from", "2h", "--grace", "long"), "'long' is no length of time"),
        (("--from", "2h", "--step", "0s"), "0s is no multiple of 10s"),
        (("--from", "2h", "--to", "3h"), "It is before --from"),
    ],
)
def test_a_wrong_option_is_said(
    clickhouse: ClickHouse, arguments: tuple[str, ...], said: str
) -> None:
    """In one sentence, before anything is asked."""
    shown = run(clickhouse, *arguments)
    assert shown.exit_code == 2
    assert said in " ".join(shown.stderr.replace("│", " ").split())


def test_what_cannot_be_backtested_is_said(clickhouse: ClickHouse, tmp_path: Path) -> None:
    """No data, no labels, no rules."""
    with pytest.raises(CommandError, match="no aggregates before"):
        run(clickhouse, "--from", "2020-01-01", "--to", "2020-01-02")
    with pytest.raises(ConfigurationError, match=r"labels\.csv: cannot be read"):
        run(clickhouse, "--from", "2h", "--labels", tmp_path / "labels.csv")
    with pytest.raises(ConfigurationError, match=r"rules\.yaml: cannot be read"):
        run(clickhouse, "--from", "2h", "--rules", tmp_path / "rules.yaml")
