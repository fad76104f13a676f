"""Rules evaluated on windows that are kept in plain lists, and what a plain loop says of them."""

import json
import math
from collections.abc import Sequence
from typing import Any

from dictionary_windows import NOW, SECOND, SLOT, DictionaryWindows
from hypothesis import strategies as st

from inferwatch_streams.blocks.histogram import quantile
from inferwatch_streams.configuration.durations import HOUR
from inferwatch_streams.rules.evaluation import evaluate
from inferwatch_streams.rules.finding import Finding
from inferwatch_streams.rules.spans import span_until
from inferwatch_streams.rules.texts import DETAILS

SERVICES = ("a", "b", "c")
BY = ("service", "model")
BASE: dict[str, Any] = {"name": "r", "severity": "low"}


def evaluated(
    rule: Any, windows: DictionaryWindows, at: int, gaps: Any = None
) -> Sequence[Finding]:
    """What a rule finds; each finding has the details that texts may name, and JSON can hold."""
    found = evaluate(rule, windows, at, gaps)
    for each in found:
        assert each.details.keys() == DETAILS[rule.kind].keys()
        json.dumps([each.details, each.value, each.threshold, each.samples], allow_nan=False)
    return found


def labels(findings: Any) -> list[dict[str, str]]:
    """Labels of findings, sorted."""
    return sorted((dict(each.labels) for each in findings), key=str)


@st.composite
def loads(draw: st.DrawFn) -> DictionaryWindows:
    """Calls of a few services and models over two hours."""
    windows = DictionaryWindows()
    for _ in range(draw(st.integers(0, 12))):
        count = draw(st.integers(1, 20))
        blocked = draw(st.integers(0, count))
        errors = draw(st.integers(0, count - blocked))
        windows.calls(
            {"service": draw(st.sampled_from(SERVICES)), "model": draw(st.sampled_from("xy"))},
            NOW - draw(st.integers(1, 7200)) * SECOND,
            count,
            errors,
            blocked,
            draw(st.sampled_from([0.0, 0.5, 1.0, 4.0, 60.0])),
            draw(st.sampled_from([0.0, 0.01])),
        )
    return windows


def in_plain_words(windows: DictionaryWindows, measure: str, window: int, group: Any) -> Any:
    """Value and samples of a measure, computed from the rows one by one."""
    start = span_until(NOW, window).start
    rows = [
        row
        for row in windows.rows["requests.v1"]
        if row.start >= start and (row.group["service"], row.group["model"]) == group
    ]
    calls = sum(row.fields["requests"] for row in rows)
    blocked = sum(row.fields["error_types:circuit_open"] for row in rows)
    if measure == "error_rate":
        made = calls - blocked
        errors = sum(row.fields["errors"] for row in rows) - blocked
        return (errors / made if made else math.nan), made
    if measure == "request_rate":
        return calls / ((NOW - start) / SECOND), calls
    if measure == "cost_usd_per_hour":
        usd = sum(row.fields["cost_usd_micros"] for row in rows) / 1e6
        return usd / ((NOW - start) / HOUR), calls
    bins = [pair for row in rows for pair in row.bins["duration_bin_counts"].items()]
    found = quantile(0.95, bins)
    return (math.nan if found is None else found), calls


def began_before(windows: DictionaryWindows, window: int, group: Any) -> bool:
    """Whether a group had calls before a window."""
    start = span_until(NOW, window).start
    return any(
        row.start < start and (row.group["service"], row.group["model"]) == group
        for row in windows.rows["requests.v1"]
    )


def with_latencies(past: int, factor: float) -> DictionaryWindows:
    """A service that answered in about a second so long ago, and in a multiple of it now."""
    windows = DictionaryWindows()
    for number in range(60):
        spread = [1.0 + 0.01 * (number * 7 % 60)] * 5
        windows.add("requests", {"service": "a", "model": "new"}, NOW - SLOT * number - SECOND,
                    durations=[factor * each for each in spread], requests=5)  # fmt: skip
        windows.add("requests", {"service": "a", "model": "old"},
                    NOW - past - SLOT * number - SECOND, durations=spread, requests=5)  # fmt: skip
    return windows
