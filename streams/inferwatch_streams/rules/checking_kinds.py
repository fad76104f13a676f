"""What is wrong with the fields that belong to a rule's kind, beyond what the schema can say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.configuration.durations import DAY, duration, duration_text
from inferwatch_streams.errors import RuleFailedError
from inferwatch_streams.rules import function
from inferwatch_streams.rules.burn_rate import BOUNDED, MONEY
from inferwatch_streams.rules.measures import MEASURES
from inferwatch_streams.rules.spans import PAST, SLOT, slot_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from inferwatch_streams.configuration.file import Key

    Fields = Mapping[str, Any]
    Found = Iterator[tuple[tuple[Key, ...], str]]

LONGEST_WINDOW: Final = 3 * DAY
LONGEST_TIME: Final = 366 * DAY
LARGEST_NUMBER: Final = 1e18
_TIMES: Final = (
    "for", "keep_firing_for", "cooldown", "bound", "period", "silent_for", "past", "within",
    "history", "season",
)  # fmt: skip
LEAST_PAST: Final = 10
"""Windows that the past of an anomaly has to have."""


def of_numbers(rule: Fields) -> Found:
    """Numbers and lengths of time with which nothing can be reckoned: where in a rule, and why."""
    for name, value in rule.items():
        if isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
            yield (name,), "is not a number that anything could reach"
        elif name in _TIMES and duration(value) > LONGEST_TIME:
            yield (name,), "is longer than 366d"


def of_windows(rule: Fields) -> Found:
    """What is wrong with the windows of a rule: where in it, and why."""
    pairs = rule.get("pairs", ())
    windows: list[tuple[tuple[Key, ...], str]] = []
    if "window" in rule:
        windows.append((("window",), rule["window"]))
    if not isinstance(pairs, str):
        for number, pair in enumerate(pairs):
            windows += [(("pairs", number, name), pair[name]) for name in ("long", "short")]
            if duration(pair["long"]) <= duration(pair["short"]):
                yield ("pairs", number, "long"), "must be longer than the short window"
    for path, text in windows:
        length = duration(text)
        if not SLOT <= length <= LONGEST_WINDOW or length % SLOT:
            yield path, f"{text!r} is not a multiple of 10s from 10s to 3d"


def of_kind(rule: Fields) -> Found:
    """What is wrong with the fields that belong to a rule's kind."""
    check = _CHECKS.get(rule["kind"])
    if check is not None:
        yield from check(rule)


def _threshold(rule: Fields) -> Found:
    if ("above" in rule) == ("below" in rule):
        yield (), "needs one of above and below"


def _burn_rate(rule: Fields) -> Found:
    sli = rule["sli"]
    needed = {"budget_usd", "period"} if sli == MONEY else {"objective"}
    if sli in BOUNDED:
        needed.add("bound")
    for name in sorted({"budget_usd", "period", "objective", "bound"}):
        if name in needed and name not in rule:
            yield ("sli",), f"{sli} needs {name}"
        elif name in rule and name not in needed:
            yield (name,), f"has no meaning for {sli}"
        elif name in rule and name in {"period", "bound"} and duration(rule[name]) == 0:
            yield (name,), "is no time at all"


def _change(rule: Fields) -> Found:
    measure, window = MEASURES[rule["measure"]], duration(rule["window"])
    if measure.distribution is None:
        yield (
            ("measure",),
            f"{measure.name} has no histogram to test; take a quantile, a share, or an anomaly",
        )
    if "increase" not in rule and "decrease" not in rule:
        yield (), "needs increase, decrease or both"
    against = rule["against"]
    if isinstance(against, str):
        past = {"before": window, "yesterday": DAY, "last_week": 7 * DAY}[against]
    else:
        past = duration(against["past"]) if "past" in against else window
        if against["dimension"] not in rule.get("by", ()):
            yield ("against", "dimension"), f"{against['dimension']!r} has to be one of by"
    if past < window:
        yield ("window",), f"overlaps the one {duration_text(past)} before it"
    if past + window > PAST:
        yield ("against",), "reaches back further than the 8d that windows are kept"


def _absence(rule: Fields) -> Found:
    silent, past = duration(rule["silent_for"]), duration(rule.get("past", "1d"))
    if silent < SLOT:
        yield ("silent_for",), "is shorter than a window of 10s"
    if past > PAST:
        yield ("past",), "is longer than the 8d that groups are remembered"
    if past <= silent:
        yield ("past" if "past" in rule else "silent_for",), "past must be longer than silent_for"


def _anomaly(rule: Fields) -> Found:
    window, history = duration(rule["window"]), duration(rule["history"])
    if history + window > PAST:
        yield ("history",), "reaches back further than the 8d that windows are kept"
    slot = slot_at(history + window)
    if window and window % slot:
        yield (
            ("window",),
            f"has to be a multiple of {duration_text(slot)}, by which windows so old are kept",
        )
    if window and history < LEAST_PAST * window:
        yield ("history",), f"is shorter than {LEAST_PAST} windows, which teach nothing"
    if "season" in rule:
        season = duration(rule["season"])
        if not season or (window and season % window):
            yield ("season",), "has to be a multiple of the window"
        if history < 2 * season:
            yield ("history",), "has to hold the season twice"


def _forecast(rule: Fields) -> Found:
    if duration(rule["within"]) == 0:
        yield ("within",), "is no time at all"


def _function(rule: Fields) -> Found:
    try:
        function.loaded(rule["function"])
    except RuleFailedError as error:
        yield ("function",), str(error)


_CHECKS: Final[Mapping[str, Callable[[Fields], Found]]] = {
    "threshold": _threshold,
    "burn_rate": _burn_rate,
    "change": _change,
    "absence": _absence,
    "forecast": _forecast,
    "anomaly": _anomaly,
    "function": _function,
}
