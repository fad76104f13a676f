"""Rules evaluated tick by tick over the past: what would have fired, when, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferwatch_streams.alerts.alert import Alert
from inferwatch_streams.alerts.settings import AlertSettings
from inferwatch_streams.alerts.state import State
from inferwatch_streams.alerts.step import step
from inferwatch_streams.backtest.episode import Episodes
from inferwatch_streams.rules.evaluation import Evaluator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from inferwatch_streams.backtest.episode import Episode
    from inferwatch_streams.rules.definition import Rule
    from inferwatch_streams.rules.evaluation import Evaluation
    from inferwatch_streams.windows.reading import Windows

DEFAULTS = AlertSettings()


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick.

    Attributes:
        at: Event time, in microseconds since 1970.
        evaluation: What rules found.
        changed: Alerts that changed, as they would have been written.
    """

    at: int
    evaluation: Evaluation
    changed: tuple[Alert, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a backtest saw.

    Attributes:
        episodes: All, by the time they fired.
        ticks: How often rules were evaluated.
        failures: Why a rule could not be evaluated, by its name: the first reason.
    """

    episodes: Sequence[Episode]
    ticks: int
    failures: Mapping[str, str]


def ticked(
    rules: Sequence[Rule],
    windows_at: Callable[[int], Windows],
    ticks: Iterable[int],
    settings: AlertSettings = DEFAULTS,
) -> Iterator[Tick]:
    """Evaluate rules at each tick, and take their alerts through the state machine, as live.

    Args:
        rules: What to look for.
        windows_at: The windows as they were at a tick; asked in the order of the ticks.
        ticks: Event times, ascending, in microseconds since 1970.
        settings: How alerts behave.
    """
    evaluator, state = Evaluator(), State()
    by_name = {rule.name: rule for rule in rules}
    for at in ticks:
        evaluation = evaluator.tick(rules, windows_at(at), at)
        state, changes = step(state, by_name, evaluation.findings, at, settings)
        yield Tick(at, evaluation, tuple(change for change in changes if isinstance(change, Alert)))


def replay(
    rules: Sequence[Rule],
    windows_at: Callable[[int], Windows],
    ticks: Iterable[int],
    settings: AlertSettings = DEFAULTS,
) -> Replay:
    """What rules would have fired; as ``ticked``."""
    episodes, count = Episodes(), 0
    failures: dict[str, str] = {}
    for tick in ticked(rules, windows_at, ticks, settings):
        episodes.tick(tick.changed, tick.evaluation.findings)
        failures = {**tick.evaluation.failures, **failures}
        count += 1
    return Replay(episodes=episodes.all(), ticks=count, failures=failures)
