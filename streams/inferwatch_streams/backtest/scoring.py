"""Episodes held against incidents that are known: precision, recall and delay.

An episode matches an incident if it fires while the incident lasts, bounds included, and fulfils
the incident's matchers. One episode may match several incidents, and several one. Of episodes that
match none, each counts as false; one that had fired before an incident began is no finding of it,
because nobody would have been called for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from inferwatch_streams.alerts.matcher import all_match

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferwatch_streams.alerts.matcher import Matcher
    from inferwatch_streams.backtest.episode import Episode


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIncident:
    """An incident that is known to have been. Times are microseconds since 1970 (UTC).

    Attributes:
        name: For people.
        start: When it began.
        end: When it was over; a finding after this is none.
        matchers: What an episode's labels, rule and severity must fulfil to be of it.
    """

    name: str
    start: int
    end: int
    matchers: tuple[Matcher, ...] = ()

    def is_met_by(self, episode: Episode) -> bool:
        """Whether an episode matches it."""
        return self.start <= episode.fired_at <= self.end and all_match(
            self.matchers, episode.matched
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How good episodes were. Shares are NaN where there is nothing to have a share of.

    Attributes:
        true_episodes: Episodes that match an incident.
        false_episodes: Those that match none.
        delays: Of each incident that was found, by its name: microseconds from its begin until the
            first matching episode fired.
        missed: Names of the others.
    """

    true_episodes: int
    false_episodes: int
    delays: dict[str, int]
    missed: tuple[str, ...]

    @property
    def precision(self) -> float:
        """Share of episodes that match an incident."""
        return _share(self.true_episodes, self.true_episodes + self.false_episodes)

    @property
    def recall(self) -> float:
        """Share of incidents that were found."""
        return _share(len(self.delays), len(self.delays) + len(self.missed))

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 where one is 0."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def median_delay(self) -> float | None:
        """Of those that were found, in microseconds."""
        return median(self.delays.values()) if self.delays else None

    def __add__(self, other: Score) -> Score:
        """Both together; names of incidents must not be of both."""
        return Score(
            true_episodes=self.true_episodes + other.true_episodes,
            false_episodes=self.false_episodes + other.false_episodes,
            delays={**self.delays, **other.delays},
            missed=(*self.missed, *other.missed),
        )


def score(episodes: Sequence[Episode], incidents: Sequence[KnownIncident]) -> Score:
    """Hold episodes against the incidents of the same time."""
    found: dict[str, int] = {}
    true = 0
    for episode in episodes:
        met = [incident for incident in incidents if incident.is_met_by(episode)]
        true += bool(met)
        for incident in met:
            delay = episode.fired_at - incident.start
            found[incident.name] = min(delay, found.get(incident.name, delay))
    return Score(
        true_episodes=true,
        false_episodes=len(episodes) - true,
        delays=found,
        missed=tuple(each.name for each in incidents if each.name not in found),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
