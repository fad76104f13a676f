"""Backtests: rules over past windows, episodes, and their score against known incidents."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_schemas.instants import moment_text
from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.backtest.chunks import PastWindows
from inferwatch_streams.backtest.episode import Episode
from inferwatch_streams.backtest.labels import read_incidents
from inferwatch_streams.backtest.reach import reach
from inferwatch_streams.backtest.replay import replay
from inferwatch_streams.backtest.scoring import KnownIncident, score
from inferwatch_streams.configuration.durations import HOUR, MINUTE, SECOND
from inferwatch_streams.errors import ConfigurationError, StoredRowError
from inferwatch_streams.rules.definition import Anomaly, Threshold
from inferwatch_streams.rules.reading import default_rules

NOON = 1_700_136_000 * SECOND
WINDOW = 10 * SECOND
RULE = Threshold(
    name="errors",
    severity="high",
    by=("service",),
    measure="error_rate",
    window=MINUTE,
    limit=0.05,
    above=True,
    pending=30 * SECOND,
    keep_firing=20 * SECOND,
    min_samples=10,
)


def request_row(service: str, requests: int, errors: int) -> dict[str, Any]:
    """Fields of a row of requests."""
    blank = dict.fromkeys(
        (
            "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens",
            "cost_usd_micros", "priced_requests", "durations", "duration_micros",
            "first_tokens", "first_token_micros",
        ),
        0,
    )  # fmt: skip
    lists: dict[str, list[Any]] = {
        name: []
        for name in (
            "duration_bin_indexes", "duration_bin_counts",
            "first_token_bin_indexes", "first_token_bin_counts",
        )
    }  # fmt: skip
    return {
        "service": service, "environment": "", "provider": "", "model": "m", "endpoint": "",
        "requests": requests, "errors": errors,
        "error_types": ["500"] if errors else [], "error_type_counts": [errors] if errors else [],
        **blank, **lists,
    }  # fmt: skip


def outage(begin: int, end: int, until: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Windows of two services, of which one fails half its calls for a while."""
    for start in range(NOON, until, WINDOW):
        bad = 10 if begin <= start < end else 0
        yield start, "requests.v1", request_row("chat", 20, bad)
        yield start, "requests.v1", request_row("search", 20, 0)


def test_an_outage_of_the_past_fires_when_it_would_have_and_for_as_long() -> None:
    """After `for`, of its group alone, with the highest value, until it was over."""
    begin, end = NOON + 5 * MINUTE, NOON + 10 * MINUTE
    past = PastWindows(outage(begin, end, NOON + HOUR))
    seen = replay([RULE], past.at, range(NOON, NOON + 20 * MINUTE, WINDOW))
    (episode,) = seen.episodes
    assert dict(episode.labels) == {"service": "chat"}
    # Of the minute, ten seconds are enough to exceed 5 %.
    assert episode.started_at == begin + WINDOW
    assert episode.fired_at == begin + WINDOW + RULE.pending
    # The minute is free of failures a minute after the outage, and it fires on for 20 s.
    assert episode.resolved_at == end + MINUTE + RULE.keep_firing
    assert episode.peak == pytest.approx(0.5)
    assert episode.threshold == pytest.approx(0.05)
    assert seen.ticks == 120
    assert not seen.failures


def test_a_tick_sees_no_window_that_is_not_over() -> None:
    """What a later window holds is not known yet, whoever asks."""
    past = PastWindows(outage(NOON, NOON + HOUR, NOON + HOUR))
    windows = past.at(NOON + 3 * WINDOW)
    found = windows.totals("requests.v1", NOON, NOON + HOUR, ("service",))
    assert found.measures["requests"].tolist() == [60, 60]
    assert set(windows.last_seen("requests.v1", ()).values()) == {NOON + 2 * WINDOW}


def test_days_are_read_as_live_with_hours_further_back() -> None:
    """Rows are folded into slots on the way, and none is lost."""
    rows = (
        (start, "requests.v1", request_row("chat", 1, 0))
        for start in range(NOON, NOON + 26 * HOUR, MINUTE)
    )
    past = PastWindows(rows)
    windows = [past.at(NOON + at * HOUR) for at in range(1, 26)][-1]
    found = windows.totals("requests.v1", NOON, NOON + 25 * HOUR, ("service",))
    assert found.measures["requests"].tolist() == [25 * 60]


def test_a_stored_row_that_is_none_is_told_and_not_left_out() -> None:
    """Half a histogram makes no rule's value."""
    row = {**request_row("chat", 1, 0), "duration_bin_indexes": [3], "duration_bin_counts": []}
    past = PastWindows(iter([(NOON, "requests.v1", row)]))
    with pytest.raises(StoredRowError, match=r"of requests\.v1 of the window from 2023-11-16"):
        past.at(NOON + WINDOW)


def test_what_still_fires_at_the_end_has_no_end() -> None:
    """Nobody knows how long it would have fired."""
    past = PastWindows(outage(NOON, NOON + HOUR, NOON + HOUR))
    (episode,) = replay([RULE], past.at, range(NOON, NOON + 5 * MINUTE, WINDOW)).episodes
    assert episode.resolved_at is None
    assert episode.until(NOON + HOUR) == NOON + HOUR


def test_an_anomaly_of_a_share_is_judged_by_its_events() -> None:
    """Of a service that never fails, three failures of 120 raise alarm, and one does not."""
    rule = Anomaly(
        name="unusual",
        severity="low",
        by=("service",),
        measure="error_rate",
        window=MINUTE,
        history=2 * HOUR,
        direction="above",
    )
    failures = {NOON + 2 * HOUR: 1, NOON + 2 * HOUR + 30 * MINUTE: 3}
    rows = (
        (start, "requests.v1", request_row("chat", 20, failures.get(start, 0)))
        for start in range(NOON, NOON + 3 * HOUR, WINDOW)
    )
    ticks = range(NOON + 2 * HOUR, NOON + 3 * HOUR, MINUTE)
    (episode,) = replay([rule], PastWindows(rows).at, ticks).episodes
    assert episode.fired_at == NOON + 2 * HOUR + 31 * MINUTE
    assert episode.resolved_at == NOON + 2 * HOUR + 32 * MINUTE
    assert episode.peak == pytest.approx(3 / 120)


def test_an_anomaly_may_be_asked_to_be_large() -> None:
    """A rate that is a tenth above what it always was is an anomaly, unless more is asked for."""
    small = Anomaly(
        name="small",
        severity="low",
        by=("service",),
        measure="request_rate",
        window=MINUTE,
        history=HOUR,
    )
    large = replace(small, name="large", least_change=0.25)
    rows = (
        (start, "requests.v1", request_row("chat", 22 if start >= NOON + 90 * MINUTE else 20, 0))
        for start in range(NOON, NOON + 2 * HOUR, WINDOW)
    )
    ticks = range(NOON + 80 * MINUTE, NOON + 100 * MINUTE, MINUTE)
    seen = replay([small, large], PastWindows(rows).at, ticks)
    assert [(each.rule, each.fired_at) for each in seen.episodes] == [("small", NOON + 91 * MINUTE)]


def episode(fired_at: int, rule: str = "errors", **labels: str) -> Episode:
    """An episode that fired at a time."""
    return Episode(
        rule=rule, severity="high", labels=labels, started_at=fired_at, fired_at=fired_at
    )


def test_matching_is_by_time_and_labels() -> None:
    """An episode matches where it fires within the incident's time and has its labels."""
    of_chat = KnownIncident(
        name="a", start=100, end=200, matchers=(Matcher("service", "=", "chat"),)
    )
    other = KnownIncident(name="b", start=150, end=300)
    found = score(
        [
            episode(99, service="chat"),
            episode(120, service="search"),
            episode(130, service="chat"),
            episode(140, service="chat"),
            episode(200, service="chat"),
        ],
        [of_chat, other],
    )
    assert (found.true_episodes, found.false_episodes) == (3, 2)
    assert found.delays == {"a": 30, "b": 50}
    assert (found.precision, found.recall, found.median_delay) == (0.6, 1.0, 40)


TIMES = st.lists(st.integers(0, 100), max_size=8)


@given(fired=TIMES, spans=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)), max_size=5))
def test_scores_are_those_of_a_plain_count(fired: list[int], spans: list[tuple[int, int]]) -> None:
    """Every episode is true or false, and every incident found or missed."""
    incidents = [
        KnownIncident(name=str(i), start=start, end=start + length)
        for i, (start, length) in enumerate(spans)
    ]
    found = score([episode(at) for at in fired], incidents)
    true = [at for at in fired if any(s <= at <= s + n for s, n in spans)]
    assert (found.true_episodes, found.false_episodes) == (len(true), len(fired) - len(true))
    for i, (start, length) in enumerate(spans):
        inside = [at - start for at in fired if start <= at <= start + length]
        assert found.delays.get(str(i)) == min(inside, default=None)
    assert len(found.delays) + len(found.missed) == len(spans)


def test_labels_are_read_with_their_conditions(tmp_path: Path) -> None:
    """Times are in UTC unless they say otherwise, and empty fields ask for nothing."""
    file = tmp_path / "labels.csv"
    file.write_text(
        "start,end,rule,service\n"
        "2023-11-16T13:00+01:00, 2023-11-16T12:10Z, ~error.*, chat\n"
        "2023-11-16 11:00,2023-11-16 11:10,,\n",
        encoding="utf-8",
    )
    earlier, later = read_incidents(file)
    assert (earlier.name, earlier.matchers) == ("2023-11-16 11:00:00Z", ())
    assert moment_text(later.start) == "2023-11-16 12:00:00Z"
    assert later.end - later.start == 10 * MINUTE
    assert later.is_met_by(episode(later.start, "error_rate", service="chat"))
    assert not later.is_met_by(episode(later.start, "latency", service="chat"))
    assert not later.is_met_by(episode(later.start, "error_rate", service="search"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("begin,end\n", ":1: has no column start."),
        ("start,end\n2023-11-16T12:00Z,noon\n", ":2: end: 'noon' is no time"),
        ("start,end\n2023-11-16T12:00Z,2023-11-16T11:00Z\n", ":2: end: is before start."),
        ("start,end\n2023-11-16T12:00Z\n", ":2: has not as many fields"),
        ("start,end\n2023-11-16T12:00Z,2023-11-16T12:01Z,x\n", ":2: has not as many fields"),
        ("start,end,rule\n2023-11-16T12:00Z,2023-11-16T12:01Z,~(\n", ":2: rule: "),
        ("start,end,a b\n", ":1: 'a b' is no name of a label."),
        ("start,end,a\n2023-11-16T12:00Z,2023-11-16T12:01Z,\xff\n", "cannot be read"),
        ("start,end\n" + 2 * "2023-11-16T12:00Z,2023-11-16T12:01Z\n", "has two incidents"),
    ],
)
def test_a_wrong_file_of_labels_names_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    """What is wrong is told in one sentence."""
    file = tmp_path / "labels.csv"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=f"^{file}") as raised:
        read_incidents(file)
    assert said in str(raised.value)


def test_rules_say_how_far_back_they_look() -> None:
    """The shipped ones look back at most as far as windows reach; a window of a minute, an hour."""
    assert reach([RULE]) == MINUTE + HOUR
    assert HOUR < reach(default_rules()) <= 8 * 24 * HOUR
    assert reach([]) == HOUR
