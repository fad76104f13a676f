"""What the questions of a run came to, counted as the views count their events."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from inferwatch_agents.evaluation.question_set import Question
    from inferwatch_agents.trace_context import Trace

MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one question came to.

    Attributes:
        question: The question.
        judge: What gave the score, or failed to; None where the model did not answer.
        score: From 0 to 1, in whole millionths; None where there is none.
        passed: Whether it was good enough; None where there is no score.
        error_type: Why there is no score; None where there is one.
        reason: What the error said.
        duration_seconds: Of the model's call; None where it was not asked.
        trace: Where in a trace it was asked.
    """

    question: Question
    judge: str | None = None
    score: float | None = None
    passed: bool | None = None
    error_type: str | None = None
    reason: str | None = None
    duration_seconds: float | None = None
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Failures:
    """Questions that one kind of error left without a score.

    Attributes:
        error_type: The kind.
        count: How many.
        reason: What the first of them said.
    """

    error_type: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What several questions came to.

    A question that has no score, because the model raised, did not answer in time, or because the
    judge failed, counts in the error rate and nowhere else: it is no wrong answer.

    Attributes:
        questions: How many.
        judged: How many have a score.
        passed: How many passed.
        score_micros: Sum of the scores, in millionths.
        failures: The others by kind of error, most frequent first.
        durations: Of the model's calls, in seconds, ascending; those that failed among them.
    """

    questions: int
    judged: int
    passed: int
    score_micros: int
    failures: tuple[Failures, ...]
    durations: tuple[float, ...]

    @property
    def accuracy(self) -> float | None:
        """Share of the judged that passed: ``pass_rate`` of the views; None of nothing."""
        return self.passed / self.judged if self.judged else None

    @property
    def score_mean(self) -> float | None:
        """Mean score; None of nothing."""
        return self.score_micros / MICROS / self.judged if self.judged else None

    @property
    def error_rate(self) -> float:
        """Share of the questions that have no score: ``errors / evaluations`` of the views."""
        return (self.questions - self.judged) / self.questions

    @property
    def duration_mean(self) -> float | None:
        """Mean duration in seconds; None of nothing."""
        return math.fsum(self.durations) / len(self.durations) if self.durations else None

    def duration_quantile(self, share: float) -> float | None:
        """Duration of nearest rank in seconds, as the views have it; None of nothing."""
        if not self.durations:
            return None
        return self.durations[max(1, math.ceil(share * len(self.durations))) - 1]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to.

    Attributes:
        run_id: The run; ``session_id`` of its events.
        model: The judged model.
        test_set: The set's name and version.
        metric: What was measured.
        total: All questions.
        by_tag: The questions of each tag, in the order of their names.
    """

    run_id: str
    model: str
    test_set: str
    metric: str
    total: Tally
    by_tag: Mapping[str, Tally]


def tally(outcomes: Sequence[Outcome]) -> Tally:
    """Count outcomes."""
    kinds = Counter(outcome.error_type for outcome in outcomes if outcome.error_type)
    reasons = {outcome.error_type: outcome.reason or "" for outcome in reversed(outcomes)}
    scores = [outcome.score for outcome in outcomes if outcome.score is not None]
    durations = (outcome.duration_seconds for outcome in outcomes)
    return Tally(
        questions=len(outcomes),
        judged=len(scores),
        passed=sum(outcome.passed is True for outcome in outcomes),
        score_micros=sum(round(score * MICROS) for score in scores),
        failures=tuple(Failures(kind, count, reasons[kind]) for kind, count in kinds.most_common()),
        durations=tuple(sorted(seconds for seconds in durations if seconds is not None)),
    )


def by_tag(outcomes: Iterable[Outcome]) -> dict[str, Tally]:
    """Count the outcomes of each tag."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        for tag in dict.fromkeys(outcome.question.tags):
            groups.setdefault(tag, []).append(outcome)
    return {tag: tally(groups[tag]) for tag in sorted(groups)}
