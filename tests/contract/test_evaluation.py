"""A run of an evaluator and the feedback to its model come out of the views as they went in."""

import pytest
from oracle import close
from pipeline import Stack, environment, wait_until

import inferwatch_agents
from inferwatch_agents.evaluation import (
    Evaluator,
    EvaluatorSettings,
    Question,
    QuestionSet,
    Summary,
)

# A worker takes ten seconds to join, for what test_evaluation_windows.py shows without one.
pytestmark = pytest.mark.kafka

QUESTIONS = 300
RATINGS = (1, 4, 5, 5)


def model(question: str) -> str:
    """Answer a question rightly, wrongly, or not at all."""
    number = int(question)
    if number % 7 == 0:
        raise ConnectionError(question)
    return str(number % 5)


def near(question: Question, answer: str) -> float:
    """Judge by how near an answer is; fail where it says 4."""
    return 1 / (1 + abs(int(answer) - int(question.id) % 3)) if answer != "4" else 2.0


@pytest.fixture(scope="module")
def landed(stack: Stack) -> tuple[Stack, Summary]:
    """The stack after all has landed, and what the run said of itself."""
    own = environment(stack.kafka, stack.clickhouse)
    inferwatch_agents.init("svc", environment="test", kafka=stack.kafka, variables=own)
    try:
        questions = tuple(Question(str(n), str(n)) for n in range(QUESTIONS))
        summary = Evaluator(
            "m",
            model,
            QuestionSet("numbers", questions),
            near,
            settings=EvaluatorSettings(concurrency=8, pass_at=0.4),
        ).run()
        for rating in RATINGS:
            inferwatch_agents.feedback(rating, model="m")
    finally:
        inferwatch_agents.shutdown()
    with stack.worker("worker") as worker:
        wait_until(
            lambda: (
                stack.one("SELECT count() FROM evaluations"),
                stack.one("SELECT sum(evaluations) FROM evaluations_1h"),
            ),
            lambda found: found == (QUESTIONS + len(RATINGS),) * 2,
            worker,
            seconds=60,
        )
        worker.stop()
    return stack, summary


def test_the_views_say_what_the_run_said(landed: tuple[Stack, Summary]) -> None:
    """Mean, pass rate and errors exactly, latency within the bins."""
    stack, summary = landed
    total = summary.total
    assert 0 < total.passed < total.judged < QUESTIONS
    ((evaluations, errors, mean, rate, p50, p95, seconds),) = stack.query(
        "SELECT sum(evaluations), sum(errors), toFloat64(sum(score_sum)) / sum(scored),"
        " sum(passed) / sum(passed + failed), inferwatchQuantile(0.5, sumMap(duration_bins)),"
        " inferwatchQuantile(0.95, sumMap(duration_bins)),"
        " sum(duration_micros) / sum(durations) / 1e6"
        " FROM evaluations_1h WHERE model = 'm' AND metric = 'accuracy' AND kind = 'test_set'"
    )
    assert (mean, rate) == (total.score_mean, total.accuracy)
    assert errors / evaluations == total.error_rate
    assert close(p50, total.duration_quantile(0.5))
    assert close(p95, total.duration_quantile(0.95))
    # Each duration is counted in whole microseconds.
    assert seconds == pytest.approx(total.duration_mean, abs=1e-6)
    assert stack.query(
        "SELECT error_type, count() FROM evaluations WHERE session_id = {run:String}"
        " AND error_type IS NOT NULL GROUP BY error_type ORDER BY error_type",
        run=summary.run_id,
    ) == sorted((f.error_type, f.count) for f in total.failures)


def test_the_views_say_what_users_said(landed: tuple[Stack, Summary]) -> None:
    """Ratings of 1 to 5 are scores from 0 to 1."""
    stack, _ = landed
    assert stack.query(
        "SELECT evaluations, score_mean, pass_rate FROM evaluations_1h"
        " WHERE metric = 'satisfaction' AND kind = 'user_feedback'"
    ) == [(4, 0.6875, None)]
