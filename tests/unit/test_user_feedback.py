"""Feedback of users: scores from 0 to 1, whose they are, and nothing that breaks the caller."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdk_recorder import Recorder

from inferwatch_agents import feedback, identify, process
from inferwatch_agents.calls import Call
from inferwatch_agents.channel import open_channel
from inferwatch_agents.publisher import KEY_FIELDS
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import decode

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@dataclass
class Sdk(Recorder):
    """A recorder that keeps other events, too, as their own encoder has them."""

    records: list[dict[str, Any]] = field(default_factory=list)

    def emit(self, schema: str, record: Mapping[str, Any]) -> None:
        """Encode and keep."""
        channel = open_channel(schema, PinnedRegistry(), "p", KEY_FIELDS)
        message = channel.message(record, 0, 1)
        assert message.key == record["gen_ai_request_model"]
        self.records.append(decode(message.value, PinnedRegistry()))

    def sent(self) -> dict[str, Any]:
        """The only event; nothing failed inside."""
        (record,) = self.records
        assert self.faults == []
        return record


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> Sdk:
    """The SDK of the process, for the test."""
    found = Sdk()
    monkeypatch.setattr(process, "_active", found)
    return found


@pytest.mark.parametrize(
    ("rating", "scale", "score", "label", "passed"),
    [
        (True, (1, 5), 1.0, "thumbs_up", True),
        (False, (1, 5), 0.0, "thumbs_down", False),
        (1, (1, 5), 0.0, "1", None),
        (4, (1, 5), 0.75, "4", None),
        (4.5, (1, 5), 0.875, "4.5", None),
        (9, (0, 10), 0.9, "9", None),
        (2, (1, 6), 0.2, "2", None),
        (2, (6, 1), 0.8, "2", None),
    ],
)
def test_a_rating_is_a_score_from_0_to_1(  # noqa: PLR0913, PLR0917  # what it becomes
    sdk: Sdk, rating: float, scale: tuple[float, float], score: float, label: str,
    passed: bool | None,  # noqa: FBT001  # as above
) -> None:  # fmt: skip
    """With what the user chose as its label; only thumbs pass or fail."""
    feedback(rating, scale=scale, model="m")
    record = sdk.sent()
    assert record["gen_ai_evaluation_score_value"] == score
    assert (record["gen_ai_evaluation_score_label"], record["passed"]) == (label, passed)
    assert (record["kind"], record["gen_ai_evaluation_name"]) == ("user_feedback", "satisfaction")
    assert (record["service_name"], record["deployment_environment_name"]) == ("svc", "test")
    assert (record["judge"], record["test_set"], record["error_type"]) == (None, None, None)


@given(st.floats(), st.floats(), st.floats())
def test_no_number_breaks_the_caller(rating: float, worst: float, best: float) -> None:
    """It is sent as a score from 0 to 1, or not at all."""
    found = Sdk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "_active", found)
        feedback(rating, scale=(worst, best))
    if found.faults:
        assert found.records == []
    else:
        assert 0 <= found.sent()["gen_ai_evaluation_score_value"] <= 1


@pytest.mark.parametrize(
    "given",
    [
        {"rating": 0}, {"rating": 6}, {"rating": float("nan")}, {"rating": "good"},
        {"rating": None}, {"rating": 1, "scale": (1, 1)}, {"rating": 1, "scale": 5},
    ],
)  # fmt: skip
def test_what_is_no_rating_is_counted_and_not_sent(sdk: Sdk, given: Any) -> None:
    """The endpoint that took it answers as ever."""
    feedback(**given)
    assert sdk.records == []
    assert [where for where, _ in sdk.faults] == ["feedback"]


def judged(owner: Sdk | None) -> Call:
    """A call with a trace, of a user."""
    call = Call(owner, "gpt", "openai", "chat", None)
    call.user, call.session = "u1", "s1"
    call.trace_id, call.span_id = TRACE, SPAN
    return call


def of(record: dict[str, Any]) -> tuple[Any, ...]:
    """Whose and of what an event is."""
    names = ("gen_ai_request_model", "gen_ai_provider_name", "user_id", "session_id")
    return tuple(record[name] for name in (*names, "trace_id", "span_id"))


def test_it_is_of_the_call_that_is_given_or_current(sdk: Sdk) -> None:
    """With the call's model, provider, user, session and trace."""
    call = judged(sdk)
    with call:
        feedback(True)
    feedback(True, call=call)
    with identify(user="u2", session="s2"):
        feedback(True)
        feedback(True, call=call, user="u3")
    assert [of(record) for record in sdk.records] == [
        ("gpt", "openai", "u1", "s1", TRACE, SPAN),
        ("gpt", "openai", "u1", "s1", TRACE, SPAN),
        ("", None, "u2", "s2", None, None),
        ("gpt", "openai", "u3", "s1", TRACE, SPAN),
    ]


def test_a_trace_that_is_named_is_not_mixed_with_the_current_call(sdk: Sdk) -> None:
    """Feedback mostly comes in a later request, which has a call and a trace of its own."""
    other = "b" * 32
    with judged(sdk):
        feedback(5, trace_id=other.upper(), model="claude", user=7)  # type: ignore[arg-type]  # as callers do
    assert of(sdk.sent()) == ("claude", None, "7", None, other, None)


@pytest.mark.parametrize("bad", ["undefined", "0" * 32, TRACE[:-1], TRACE + "\n", 5])
def test_a_trace_id_that_is_none_is_left_out(sdk: Sdk, bad: Any) -> None:
    """What a browser sends may be anything; the rating counts all the same."""
    feedback(5, trace_id=bad, span_id=SPAN)
    assert [where for where, _ in sdk.faults] == ["feedback trace id"]
    assert (sdk.records[0]["trace_id"], sdk.records[0]["span_id"]) == (None, SPAN)


def test_a_comment_leaves_only_through_redact(sdk: Sdk) -> None:
    """Not by default, not where the redaction fails, and never too long for the event."""

    def failing(_comment: str) -> str:
        raise RuntimeError

    redactors: list[Any] = [None, lambda _: None, str.upper, failing, lambda text: text * 10_000]
    for redact in redactors:
        feedback(True, comment="secret", redact=redact)
    sent = [record["gen_ai_evaluation_explanation"] for record in sdk.records]
    assert sent == [None, None, "SECRET", None, ("secret" * 10_000)[:10_000]]
    assert [where for where, _ in sdk.faults] == ["feedback redaction"]


def test_without_init_it_does_nothing() -> None:
    """As calls do."""
    assert process.active() is None
    feedback(object())  # type: ignore[arg-type]  # not even looked at
