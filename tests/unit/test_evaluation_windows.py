"""What a run says of itself is what the aggregation counts from its events."""

from collections.abc import Mapping
from typing import Any

from block_builders import blocks_of, chunk_of, read
from hypothesis import given, settings
from hypothesis import strategies as st
from shown_rows import rows_of

from inferwatch_agents.channel import open_channel
from inferwatch_agents.evaluation import Evaluator, EvaluatorSettings, Question, QuestionSet
from inferwatch_agents.publisher import KEY_FIELDS
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import EVALUATIONS

FAILS = st.sampled_from(["model", "judge"])


class Encoded:
    """A sink that keeps the values that Kafka would get."""

    def __init__(self) -> None:
        self._channel = open_channel("evaluation", PinnedRegistry(), "p", KEY_FIELDS)
        self.values: list[tuple[int, bytes | None]] = []

    def evaluated(self, record: Mapping[str, Any]) -> None:
        """Encode and keep."""
        belongs = {"service_name": "svc", "deployment_environment_name": "test"}
        offset = len(self.values)
        message = self._channel.message(belongs | dict(record), offset, 1_700_000_000_000_000)
        self.values.append((offset, message.value))

    def scored(self, model: str, accuracy: float) -> None:
        """The gauge is no event."""


async def answer(question: str) -> str:
    """Answer, or fail as a model."""
    if question == "model":
        raise ConnectionError
    return question


def score(_question: Question, answer: str) -> float:
    """What the answer says, or fail as a judge."""
    return float(answer)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1).map(repr) | FAILS, min_size=1, max_size=30), st.floats(0, 1))
def test_a_run_and_its_windows_say_the_same(answers: list[str], pass_at: float) -> None:
    """Questions, errors, scores, verdicts and durations: sums are equal to the last digit."""
    questions = tuple(Question(str(n), text) for n, text in enumerate(answers))
    sink = Encoded()
    total = Evaluator(
        "m", answer, QuestionSet("set", questions), score,
        settings=EvaluatorSettings(pass_at=pass_at), sink=sink,
    ).run().total  # fmt: skip
    blocks = blocks_of("evaluation", 0, 65_536)
    chunk = chunk_of(EVALUATIONS.name, sink.values, 0, len(answers))
    parts, bad = read("evaluation", chunk)
    assert not bad
    blocks.add(chunk, parts)
    (row,) = rows_of(blocks.take_changed())
    window = row.fields
    assert (window["model"], window["metric"], window["kind"]) == ("m", "accuracy", "test_set")
    assert window["evaluations"] == total.questions == len(answers)
    assert window["errors"] == sum(failures.count for failures in total.failures)
    assert window["errors"] / window["evaluations"] == total.error_rate
    assert (window["scored"], window["judged"]) == (total.judged, total.judged)
    assert window["score_micros"] == total.score_micros
    assert window["passed"] == total.passed
    assert window["durations"] == len(total.durations)
    assert window["duration_micros"] == sum(round(s * 1e6) for s in total.durations)
