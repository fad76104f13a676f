"""Rules that hold the present against the past: changes, forecasts and anomalies."""

from dataclasses import replace

import pytest
from dictionary_windows import NOW, SECOND, DictionaryWindows
from evaluated_rules import BASE, BY, evaluated, labels, with_latencies

from inferwatch_streams.configuration.durations import DAY, HOUR, MINUTE
from inferwatch_streams.rules.definition import (
    Against,
    Anomaly,
    Change,
    Forecast,
)


@pytest.mark.parametrize("past", [10 * MINUTE, DAY, 7 * DAY])
def test_a_change_against_its_own_past_is_found(past: int) -> None:
    """Where it is as large as the rule says, and sure."""
    rule = Change(
        **BASE, measure="latency_p95", window=10 * MINUTE, against=Against(past=past),
        increase=1.5, by=("service",), min_samples=100,
    )  # fmt: skip
    (found,) = evaluated(rule, with_latencies(past, 1.8), NOW)
    assert found.labels == {"service": "a"}
    assert found.details["factor"] == pytest.approx(1.8, rel=0.05)
    assert found.details["p_value"] < 0.001
    assert found.value == pytest.approx(found.details["before"] * found.details["factor"])
    assert evaluated(rule, with_latencies(past, 1.2), NOW) == []
    assert evaluated(rule, with_latencies(past + HOUR * 3, 1.8), NOW) == []


def test_few_events_do_not_make_a_change() -> None:
    """However large it looks."""
    windows = DictionaryWindows()
    for at, seconds in ((NOW - SECOND, 9.0), (NOW - 10 * MINUTE - SECOND, 1.0)):
        windows.calls({"service": "a"}, at, 2, seconds=seconds)
    rule = Change(
        **BASE, measure="latency_p95", window=10 * MINUTE, against=Against(past=10 * MINUTE),
        increase=1.5, by=("service",),
    )  # fmt: skip
    assert evaluated(rule, windows, NOW) == []


def test_a_version_is_held_against_the_one_it_replaced() -> None:
    """The one that was there a day ago, where this one was not; or one that is named."""
    windows = with_latencies(DAY, 1.8)
    against = Against(past=DAY, dimension="model")
    rule = Change(
        **BASE, measure="latency_p50", window=10 * MINUTE, against=against, increase=1.5, by=BY
    )
    (found,) = evaluated(rule, windows, NOW)
    assert (found.labels["model"], found.details["other"]) == ("new", "old")
    beside = with_latencies(DAY, 1.8)
    beside.calls({"service": "a", "model": "old"}, NOW - SECOND, 1000)
    assert evaluated(rule, beside, NOW) == []
    named = Change(
        **BASE, measure="latency_p50", window=10 * MINUTE, increase=1.5, by=BY,
        against=Against(dimension="model", value="old"),
    )  # fmt: skip
    assert evaluated(named, windows, NOW) == []
    (found,) = evaluated(named, with_latencies(0, 1.8), NOW)
    assert (found.labels["model"], found.details["other"]) == ("new", "old")


def test_shares_change_too() -> None:
    """A share is a histogram of two bins; from nothing, any number of times."""
    windows = DictionaryWindows()
    windows.calls({"service": "a"}, NOW - SECOND, 500, errors=50)
    windows.calls({"service": "a"}, NOW - 10 * MINUTE - SECOND, 500, errors=0)
    rule = Change(
        **BASE, measure="error_rate", window=10 * MINUTE, against=Against(past=10 * MINUTE),
        increase=2.0, at_least=0.05, by=("service",),
    )  # fmt: skip
    (found,) = evaluated(rule, windows, NOW)
    assert (found.value, found.details["factor"], found.details["before"]) == (0.1, None, 0.0)
    windows.calls({"service": "a"}, NOW - 2 * SECOND, 1000)
    assert evaluated(rule, windows, NOW) == []


def test_a_disk_that_fills_is_foreseen() -> None:
    """One that only fluctuates is not, nor one that has time."""
    windows = DictionaryWindows()
    for minute in range(120):
        at = NOW - minute * MINUTE - SECOND
        for host, used in (
            ("fills", 90 - minute * 0.1),
            ("waits", 50 - minute * 0.01),
            ("still", 90 + minute * 37 % 3),
            ("over", 99.0),
        ):
            group = {"host": host, "device": "host"}
            windows.samples({**group, "metric": "disk_used_bytes"}, at, used)
            windows.samples({**group, "metric": "disk_total_bytes"}, at, 100.0)
    rule = Forecast(
        **BASE, measure="disk_used_ratio", window=2 * HOUR, limit=0.98, within=3 * HOUR,
        by=("host",),
    )  # fmt: skip
    found = {each.labels["host"]: each for each in evaluated(rule, windows, NOW)}
    assert found.keys() == {"fills", "over"}
    assert found["fills"].details["left"] == pytest.approx(80 * 60, rel=0.1)
    assert found["over"].details["left"] == 0.0
    free = Forecast(
        **BASE, measure="avg(disk_used_bytes)", window=2 * HOUR, limit=1.0, within=3 * HOUR,
        rising=False, by=("host",),
    )  # fmt: skip
    assert evaluated(free, windows, NOW) == []


def test_an_unusual_hour_is_found_beside_the_same_hour_of_other_days() -> None:
    """A daily rise is usual; five times as much is not, nor is silence."""
    windows = DictionaryWindows()
    for hour in range(24 * 6):
        at = NOW // HOUR * HOUR - hour * HOUR - MINUTE
        usual = 100 + (60 if hour % 24 < 6 else 0) + hour * 7 % 5
        for service, now in (("spike", 5 * usual), ("calm", usual), ("mute", 0)):
            windows.calls({"service": service}, at, usual if hour else now)
    windows.calls({"service": "new"}, NOW // HOUR * HOUR - MINUTE, 500)
    rules = {
        direction: Anomaly(
            **BASE, measure="request_rate", window=HOUR, history=5 * DAY, season=DAY,
            direction=direction, by=("service",), min_samples=50,
        )
        for direction in ("both", "above", "below")
    }  # fmt: skip
    found = {name: labels(evaluated(rule, windows, NOW)) for name, rule in rules.items()}
    assert evaluated(replace(rules["above"], at_least=1.0), windows, NOW) == []
    assert found == {
        "both": [{"service": "mute"}, {"service": "spike"}],
        "above": [{"service": "spike"}],
        "below": [{"service": "mute"}],
    }
