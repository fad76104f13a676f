"""An evaluator: what counts as what, limits that hold, and events that say the same."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import inferwatch_agents
from inferwatch_agents.channel import open_channel
from inferwatch_agents.context import BELONGING
from inferwatch_agents.errors import ConfigurationError, EvaluationError, QuestionSetError
from inferwatch_agents.evaluation import Evaluator, EvaluatorSettings, Question, QuestionSet
from inferwatch_agents.publisher import KEY_FIELDS
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import decode


@dataclass
class Kept:
    """A sink that keeps what it is told; each record has passed the event's own encoder."""

    records: list[dict[str, Any]] = field(default_factory=list)
    scores: list[tuple[str, float]] = field(default_factory=list)

    def evaluated(self, record: Mapping[str, Any]) -> None:
        """Encode and keep."""
        channel = open_channel("evaluation", PinnedRegistry(), "p", KEY_FIELDS)
        belongs = {"service_name": "svc", "deployment_environment_name": "test"}
        message = channel.message(belongs | dict(record), 0, 1)
        assert message.key == record["gen_ai_request_model"]
        self.records.append(decode(message.value, PinnedRegistry()))

    def scored(self, model: str, accuracy: float) -> None:
        """Keep."""
        self.scores.append((model, accuracy))


def asked(*questions: Question) -> QuestionSet:
    """A set."""
    return QuestionSet("set@1", questions)


def numbered(count: int) -> QuestionSet:
    """A set of questions that expect their own number."""
    return asked(*(Question(f"q{n}", str(n), str(n)) for n in range(count)))


def answering(question: Any) -> Any:
    """Answer, fail, or return what is no text."""
    match question:
        case "raise":
            raise ConnectionError("refused")
        case "exit":
            raise SystemExit(3)
        case "number":
            return 5
    return question


async def answering_later(question: Any) -> Any:
    """Do the same as a coroutine function."""
    await asyncio.sleep(0)
    return answering(question)


MIXED = asked(
    Question("right", "A", "A", ("x", "x")),
    Question("wrong", "B", "A", ("x", "y")),
    Question("raises", "raise", "A", ("y",)),
    Question("exits", "exit", "A"),
    Question("none", "number", "A"),
    Question("half", "A", None, judge="half"),
    Question("judge", "A", None, judge="broken"),
    Question("odd", "A", None, judge="odd"),
)


def broken(question: Question, answer: str) -> bool:
    """Fail as a judge."""
    raise RuntimeError(f"{question.id} {answer}")


async def half(_question: Question, _answer: str) -> float:
    """Judge as a coroutine function."""
    return 0.5


JUDGES: dict[str, Any] = {"half": half, "broken": broken, "odd": lambda *_: "very good"}


def answering_by_another(question: Any) -> Any:
    """Do the same as a function that returns what has to be awaited."""
    return answering_later(question)


@pytest.mark.parametrize("model", [answering, answering_later, answering_by_another])
def test_errors_are_no_wrong_answers(model: Any) -> None:
    """Accuracy is of the judged questions, the error rate of all; events add up to the same."""
    kept = Kept()
    summary = Evaluator("m", model, MIXED, judges=JUDGES, provider="p", sink=kept).run()
    total = summary.total
    assert (total.questions, total.judged, total.passed) == (8, 3, 2)
    assert (total.accuracy, total.score_mean, total.error_rate) == (2 / 3, 0.5, 5 / 8)
    assert {f.error_type: (f.count, f.reason) for f in total.failures} == {
        "ConnectionError": (1, "refused"),
        "SystemExit": (1, "3"),
        "answer_is_no_text": (1, "the model returned int"),
        "judge_failed": (2, "RuntimeError: judge A"),
    }
    tags = {tag: (t.questions, t.judged, t.passed) for tag, t in summary.by_tag.items()}
    assert tags == {"x": (2, 2, 1), "y": (2, 1, 0)}
    assert kept.scores == [("m", 2 / 3)]

    records = {record["question_id"]: record for record in kept.records}
    assert len(kept.records) == len(records) == 8
    scores = [r["gen_ai_evaluation_score_value"] for r in kept.records]
    given = [score for score in scores if score is not None]
    verdicts = [r["passed"] for r in kept.records if r["passed"] is not None]
    assert sum(given) / len(given) == total.score_mean
    assert sum(verdicts) / len(verdicts) == total.accuracy
    assert sum(r["error_type"] is not None for r in kept.records) / 8 == total.error_rate
    assert sorted(r["duration_seconds"] for r in kept.records) == pytest.approx(total.durations)
    assert [records[q]["judge"] for q in ("right", "half", "raises")] == ["exact", "half", None]
    assert records["judge"]["error_type"] == "judge_failed"
    for record in kept.records:
        assert (record["kind"], record["gen_ai_evaluation_name"]) == ("test_set", "accuracy")
        assert (record["gen_ai_request_model"], record["gen_ai_provider_name"]) == ("m", "p")
        assert (record["session_id"], record["test_set"]) == (summary.run_id, "set@1")
        # Neither question nor answer nor expectation leaves.
        assert record["gen_ai_evaluation_explanation"] is None


def test_calls_at_once_are_bounded_and_belong_to_the_run() -> None:
    """As many as asked for, and no more; requests that they make have the run as their session."""
    barrier = threading.Barrier(3)
    inside: list[int] = []
    most: list[int] = []
    sessions: set[str | None] = set()

    def model(question: str) -> str:
        inside.append(1)
        most.append(len(inside))
        sessions.add(BELONGING.get().session)
        barrier.wait(10)
        inside.pop()
        return question

    settings = EvaluatorSettings(concurrency=3)
    summary = Evaluator("m", model, numbered(9), settings=settings, sink=Kept()).run()
    assert (max(most), summary.total.accuracy) == (3, 1)
    assert sessions == {summary.run_id}
    assert BELONGING.get().session is None


async def never(_question: str) -> str:
    """Wait without end."""
    await asyncio.sleep(1000)
    return ""


def test_a_call_that_takes_too_long_is_an_error() -> None:
    """A coroutine is cancelled, and its place is free again."""
    settings = EvaluatorSettings(concurrency=1, timeout_seconds=0.02)
    kept = Kept()
    total = Evaluator("m", never, numbered(2), settings=settings, sink=kept).run().total
    assert [(f.error_type, f.count, f.reason) for f in total.failures] == [
        ("timeout", 2, "no answer within 0.02 s")
    ]
    assert (total.accuracy, total.score_mean, total.error_rate) == (None, None, 1)
    assert all(record["duration_seconds"] >= 0.02 for record in kept.records)
    # The gauge says nothing that was not measured.
    assert kept.scores == []


def test_a_model_that_hangs_does_not_fill_the_process_with_threads() -> None:
    """Its calls keep their places over runs; what cannot be asked is told as that."""
    release = threading.Event()

    def calls() -> int:
        return sum(t.name == "inferwatch-evaluation-call" for t in threading.enumerate())

    def model(_question: str) -> str:
        release.wait(30)
        return ""

    settings = EvaluatorSettings(concurrency=2, timeout_seconds=0.02)
    evaluator = Evaluator("m", model, numbered(5), settings=settings, sink=Kept())
    kinds = []
    try:
        for _ in range(2):
            total = evaluator.run().total
            kinds.append({f.error_type: f.count for f in total.failures})
            assert calls() == 2
    finally:
        release.set()
    assert kinds == [{"timeout": 2, "not_asked": 3}, {"not_asked": 5}]
    deadline = time.monotonic() + 10
    while calls() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert evaluator.run().total.judged == 5


def test_one_run_at_a_time() -> None:
    """A second is refused, and the evaluator is free again when the first was cancelled."""

    async def main() -> None:
        evaluator = Evaluator("m", never, numbered(3), sink=kept)
        run = asyncio.create_task(evaluator.run_async())
        await asyncio.sleep(0)
        with pytest.raises(EvaluationError, match="m with set@1 is running"):
            await evaluator.run_async()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert len(asyncio.all_tasks()) == 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(evaluator.run_async(), 0.01)

    kept = Kept()
    asyncio.run(main())
    assert (kept.records, kept.scores) == ([], [])


def test_what_a_sink_raises_is_raised() -> None:
    """As it is, and not in a group; the run is over."""

    class Full(Kept):
        def evaluated(self, record: Mapping[str, Any]) -> None:
            assert record
            raise OSError("full")

    evaluator = Evaluator("m", answering, numbered(3), sink=Full())
    for _ in range(2):
        with pytest.raises(OSError, match="full"):
            evaluator.run()


@pytest.mark.parametrize(
    ("question", "judge", "said"),
    [
        (Question("q", "?", 5, place="f, line 7"), "exact", "^f, line 7: expected is 5; the judge"),
        (
            Question("q", "?", "A", judge="no", place="f, line 7"),
            "exact",
            "line 7: judge: There is",
        ),
        (Question("q", "?", "A", judge={"name": "exact", "x": 1}), "exact", "q: judge: .*options"),
        (Question("q", "?", "A"), "numeric", "expected is 'A'; the judge numeric needs a number"),
    ],
)
def test_a_question_that_cannot_be_judged_is_one_sentence(
    question: Question, judge: str, said: str
) -> None:
    """Before the model is asked anything."""
    with pytest.raises(QuestionSetError, match=said):
        Evaluator("m", answering, asked(question), judge)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (EvaluatorSettings(concurrency=0), "concurrency is 0"),
        (EvaluatorSettings(timeout_seconds=float("nan")), "timeout_seconds is nan"),
        (EvaluatorSettings(pass_at=1.5), "pass_at is 1.5; it must be from 0 to 1"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(settings: EvaluatorSettings, said: str) -> None:
    """It names the setting."""
    with pytest.raises(ConfigurationError, match=said):
        Evaluator("m", answering, numbered(1), settings=settings)


@pytest.fixture
def metrics() -> Iterator[CollectorRegistry]:
    """Yield the metrics of an SDK that runs, without Kafka."""
    registry = CollectorRegistry()
    inferwatch_agents.init(
        "svc",
        kafka="127.0.0.1:1",
        delivery=inferwatch_agents.DeliverySettings(flush_seconds=0.01),
        metrics=registry,
    )
    yield registry
    inferwatch_agents.shutdown()


def test_the_sdk_gets_the_events_and_the_gauge(metrics: CollectorRegistry) -> None:
    """Without any sink being named; of another metric than accuracy the gauge says nothing."""
    Evaluator("m", answering, asked(Question("a", "A", "A"), Question("b", "B", "A"))).run()
    other = EvaluatorSettings(metric="relevance")
    Evaluator("n", answering, numbered(1), settings=other).run()
    inferwatch_agents.shutdown()
    assert metrics.get_sample_value("ai_model_accuracy_score", {"model": "m"}) == 0.5
    assert metrics.get_sample_value("ai_model_accuracy_score", {"model": "n"}) is None
    unsent = {"event": "evaluation", "reason": "unsent_at_exit"}
    assert metrics.get_sample_value("inferwatch_sdk_events_dropped_total", unsent) == 3


def test_without_init_it_only_says() -> None:
    """As calls do."""
    assert Evaluator("m", answering, numbered(2)).run().total.accuracy == 1
