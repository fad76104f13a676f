"""Asks a model all questions of a set, has the answers judged, and reports each as it is judged."""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.context import identify
from inferwatch_agents.errors import ConfigurationError, EvaluationError, QuestionSetError
from inferwatch_agents.evaluation.bounded_call import Caller
from inferwatch_agents.evaluation.judges import judge_of
from inferwatch_agents.evaluation.questioning import outcome_of
from inferwatch_agents.evaluation.sink import SdkSink
from inferwatch_agents.evaluation.summary import Outcome, Summary, by_tag, tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from inferwatch_agents.evaluation.judges import Judge, Judging
    from inferwatch_agents.evaluation.question_set import Question, QuestionSet
    from inferwatch_agents.evaluation.sink import Sink

ACCURACY: Final = "accuracy"
KIND: Final = "test_set"
NOT_ASKED: Final = "not_asked"


@dataclass(frozen=True, slots=True)
class EvaluatorSettings:
    """How questions are asked.

    Attributes:
        concurrency: Calls of the model at once.
        timeout_seconds: What one call may take, and one judgment.
        pass_at: The least score that passes, where a judge gives scores.
        metric: OpenTelemetry gen_ai.evaluation.name; only ``accuracy`` sets the gauge.
    """

    concurrency: int = 4
    timeout_seconds: float = 60.0
    pass_at: float = 0.5
    metric: str = ACCURACY


class Evaluator:
    """A model, a set of questions and a judge; runs once at a time."""

    def __init__(  # noqa: PLR0913  # what is asked, by whom it is judged, and seams with defaults
        self,
        model: str,
        ask: Callable[[Any], Any],
        questions: QuestionSet,
        judge: Any = "exact",
        *,
        judges: Mapping[str, Judging] | None = None,
        provider: str | None = None,
        settings: EvaluatorSettings | None = None,
        sink: Sink | None = None,
    ) -> None:
        """Check that all questions can be judged.

        Args:
            model: OpenTelemetry gen_ai.request.model, as the events name it.
            ask: The model: takes a question's input, returns its answer as text. A coroutine
                function, or any other, which is then called from several threads.
            questions: What it is asked.
            judge: Of questions that name none: a judge, its name, an object of its name and
                options, or a function.
            judges: Functions that questions may name besides.
            provider: OpenTelemetry gen_ai.provider.name.
            settings: Defaults when None.
            sink: Where results go; the SDK of this process when None.

        Raises:
            ConfigurationError: A setting cannot be, or there is no such judge.
            QuestionSetError: A question names no judge there is, or its judge cannot use what it
                expects.
        """
        self.model = str(model)
        self.questions = questions
        self.settings = settings or EvaluatorSettings()
        _check(self.settings)
        self._ask = ask
        self._provider = provider
        self._sink = sink or SdkSink()
        usual = judge_of(judge, judges or {})
        self._cases = tuple(
            (question, _judge(question, usual, judges or {})) for question in questions.questions
        )
        self._caller = Caller(self.settings.timeout_seconds)
        self._running = threading.Lock()

    def run(self) -> Summary:
        """Ask all questions, in an event loop of its own; not to be called from a coroutine.

        Raises:
            EvaluationError: A run is under way.
            Exception: What the sink raises; the SDK's raises nothing.
        """
        return asyncio.run(self.run_async())

    async def run_async(self) -> Summary:
        """Ask all questions; where it is cancelled, what was judged before has been reported.

        The run's id is the session of its events and, where the model's calls are monitored, of
        its requests.

        Raises:
            EvaluationError: A run is under way.
            Exception: What the sink raises; the SDK's raises nothing.
        """
        if not self._running.acquire(blocking=False):
            raise EvaluationError(
                f"An evaluation of {self.model} with {self.questions.name} is running; wait for "
                "its end."
            )
        try:
            run_id = secrets.token_hex(16)
            with identify(session=run_id):
                return await self._run(run_id)
        finally:
            self._running.release()

    async def _run(self, run_id: str) -> Summary:
        outcomes: list[Outcome] = []

        def report(outcome: Outcome) -> None:
            outcomes.append(outcome)
            self._sink.evaluated(self._record(outcome, run_id))

        pending = iter(self._cases)
        # Calls that an earlier run left hanging keep their place: a model that hangs does not fill
        # the process with threads.
        lanes = self.settings.concurrency - self._caller.inside
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(lanes, len(self._cases))):
                    group.create_task(self._lane(pending, report))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        for question, _ in pending:
            report(Outcome(question, error_type=NOT_ASKED, reason="all calls of the model hang"))
        summary = Summary(
            run_id,
            self.model,
            self.questions.name,
            self.settings.metric,
            tally(outcomes),
            by_tag(outcomes),
        )
        if self.settings.metric == ACCURACY and summary.total.accuracy is not None:
            self._sink.scored(self.model, summary.total.accuracy)
        return summary

    async def _lane(
        self, pending: Iterator[tuple[Question, Judge]], report: Callable[[Outcome], None]
    ) -> None:
        for question, judge in pending:
            outcome, hung = await outcome_of(
                question, judge, self._ask, self._caller, self.settings.pass_at
            )
            report(outcome)
            if hung:
                return

    def _record(self, outcome: Outcome, run_id: str) -> dict[str, Any]:
        return {
            "kind": KIND,
            "gen_ai_provider_name": self._provider,
            "gen_ai_request_model": self.model,
            "gen_ai_evaluation_name": self.settings.metric,
            "gen_ai_evaluation_score_value": outcome.score,
            "passed": outcome.passed,
            "error_type": outcome.error_type,
            "test_set": self.questions.name,
            "question_id": outcome.question.id,
            "judge": outcome.judge,
            "duration_seconds": outcome.duration_seconds,
            "session_id": run_id,
            "trace_id": outcome.trace.trace_id if outcome.trace else None,
            "span_id": outcome.trace.span_id if outcome.trace else None,
        }


def _check(settings: EvaluatorSettings) -> None:
    for name in ("concurrency", "timeout_seconds"):
        value = getattr(settings, name)
        # Written so that NaN, which compares false, is refused.
        if not 0 < value < math.inf:
            raise ConfigurationError(f"{name} is {value}; it must be above 0 and finite.")
    if not 0 <= settings.pass_at <= 1:
        raise ConfigurationError(f"pass_at is {settings.pass_at}; it must be from 0 to 1.")


def _judge(question: Question, usual: Judge, own: Mapping[str, Judging]) -> Judge:
    try:
        judge = usual if question.judge is None else judge_of(question.judge, own)
    except ConfigurationError as error:
        raise QuestionSetError(f"{question.place or question.id}: judge: {error}") from error
    if not judge.suits(question.expected):
        raise QuestionSetError(
            f"{question.place or question.id}: expected is {question.expected!r}; the judge "
            f"{judge.name} needs {judge.wants}."
        )
    return judge
