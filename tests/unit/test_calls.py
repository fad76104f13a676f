"""A call in a block: what it inherits, what can be said of it, and the event it becomes."""

import contextvars
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from sdk_recorder import AT, Recorder

import inferwatch_agents
from inferwatch_agents import current_call, identify, in_experiment
from inferwatch_agents.calls import Call
from inferwatch_agents.prices import load_prices
from inferwatch_agents.trace_context import Trace, current_trace, parse_traceparent
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_block_is_one_call(recorder: Recorder) -> None:
    """What is said in it is in the event, and what is said wins over what is read."""
    with inferwatch_agents.call(model="m", provider="p", experiments={"prompt": "b"}) as call:
        assert current_call() is call
        call.first_token()
        call.response({"model": "m-1", "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
        call.input_tokens = 11
        call.status_code = 200
    assert current_call() is not call
    record = recorder.one().record()
    assert {name: value for name, value in record.items() if value is not None} == {
        "service_name": "svc",
        "deployment_environment_name": "test",
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "p",
        "gen_ai_request_model": "m",
        "gen_ai_response_model": "m-1",
        "endpoint": "",
        "http_response_status_code": 200,
        "duration_seconds": call.duration_seconds,
        "time_to_first_token_seconds": call.time_to_first_token_seconds,
        "gen_ai_usage_input_tokens": 11,
        "gen_ai_usage_output_tokens": 2,
        "experiments": [{"experiment": "prompt", "variant": "b"}],
    }


def test_the_event_has_every_field_and_fits_its_schema(recorder: Recorder) -> None:
    """Nothing of the schema is left to a default by accident."""
    with inferwatch_agents.call(model="m"):
        pass
    header = {"event_id": "e", "producer_id": "p", "sequence": 0, "event_time": AT}
    encoder = Encoder("request", PinnedRegistry())
    record = {**recorder.one().record(), **header}
    assert encoder.encode(record)
    # That one is for the traceparent header.
    del record["trace_flags"]
    assert set(record) == {field["name"] for field in encoder._schema["fields"]}  # noqa: SLF001  # the schema's own list


def test_what_a_block_raises_is_its_error(recorder: Recorder) -> None:
    """It comes out as it is."""
    with pytest.raises(KeyError), inferwatch_agents.call(model="m"):
        raise KeyError
    assert recorder.one().error_type == "KeyError"


def test_a_call_ends_once(recorder: Recorder) -> None:
    """Whoever ends it himself is not counted twice."""
    with inferwatch_agents.call(model="m") as call:
        call.end()
        duration = call.duration_seconds
    assert recorder.one().duration_seconds == duration


def test_costs_are_of_the_price_table_or_as_said(recorder: Recorder) -> None:
    """The model that answered counts, then the one that was asked; unknown costs null."""
    del recorder
    answer = {"usage": {"prompt_tokens": 1000, "completion_tokens": 100}}
    costs = []
    for model, response, said in (
        ("gpt-4.1", {"model": "gpt-4.1-2025-04-14"}, None),
        ("my-alias", {"model": "gpt-4.1-mini"}, None),
        ("gpt-4.1", {"model": "unheard-of"}, None),
        ("unheard-of", {}, None),
        ("gpt-4.1", {}, 7),
    ):
        call = inferwatch_agents.call(model=model)
        call.response(answer | response)
        call.cost_usd_micros = said
        call.complete(load_prices(), AT)
        costs.append((call.cost_usd_micros, call.provider))
    assert costs == [
        (2800, "openai"), (560, "openai"), (2800, "openai"), (None, "unknown"), (7, "openai"),
    ]  # fmt: skip


def test_calls_inherit_whose_they_are(recorder: Recorder) -> None:
    """User, session and experiments hold for a block, or on until the context ends."""

    def work() -> None:
        identify(user="u1")
        with identify(session="s1"), in_experiment("prompt", "a"):
            with in_experiment("prompt", "b"), in_experiment("tone", "c"):
                inferwatch_agents.call().end()
            inferwatch_agents.call().end()
        inferwatch_agents.call().end()

    contextvars.copy_context().run(work)
    inferwatch_agents.call().end()
    assert [(c.user, c.session, c.experiments) for c in recorder.calls] == [
        ("u1", "s1", (("prompt", "b"), ("tone", "c"))),
        ("u1", "s1", (("prompt", "a"),)),
        ("u1", None, ()),
        (None, None, ()),
    ]


def test_threads_do_not_share_users(recorder: Recorder) -> None:
    """What one thread says of itself is not said of another."""
    with identify(user="main"):
        thread = threading.Thread(target=lambda: inferwatch_agents.call().end())
        thread.start()
        thread.join(10)
    assert recorder.one().user is None


def test_a_block_may_end_in_another_context(recorder: Recorder) -> None:
    """A generator that is ended elsewhere takes back what it said, or leaves it alone."""

    def work() -> Any:
        with identify(user="u"), inferwatch_agents.call():
            yield

    made = work()
    contextvars.copy_context().run(next, made)
    made.close()
    assert (recorder.one().user, recorder.one().error_type) == ("u", None)


def test_opentelemetrys_span_is_taken_where_it_is_imported(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is imported for it."""
    assert current_trace() is None
    module = ModuleType("opentelemetry.trace")
    spans = [
        SimpleNamespace(
            is_valid=True, trace_id=int(TRACE_ID, 16), span_id=int(SPAN_ID, 16),
            trace_flags=1, trace_state={},
        ),
        SimpleNamespace(is_valid=False, trace_id=0, span_id=0),
    ]  # fmt: skip
    module.get_current_span = lambda: SimpleNamespace(get_span_context=lambda: spans[0])  # type: ignore[attr-defined]  # a stand-in
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", module)
    inferwatch_agents.call().end()
    assert (recorder.one().trace_id, recorder.one().span_id) == (TRACE_ID, SPAN_ID)
    spans.reverse()
    assert current_trace() is None


def test_a_broken_opentelemetry_is_no_concern_of_the_caller(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call goes on without a trace, and ends as ever."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", ModuleType("opentelemetry.trace"))
    inferwatch_agents.call(model="m").end()
    assert recorder.calls[0].trace_id is None
    assert [where for where, _ in recorder.faults] == ["beginning a call"]


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{TRACE_ID}-{SPAN_ID}-01", Trace(TRACE_ID, SPAN_ID)),
        (f" 00-{TRACE_ID}-{SPAN_ID}-00 ", Trace(TRACE_ID, SPAN_ID, flags=0)),
        (f"00-{TRACE_ID}-{SPAN_ID}-ff", Trace(TRACE_ID, SPAN_ID, flags=3)),
        (f"cc-{TRACE_ID}-{SPAN_ID}-01-what-comes", Trace(TRACE_ID, SPAN_ID)),
        (f"00-{TRACE_ID}-{SPAN_ID}-01-extra", None),
        (f"ff-{TRACE_ID}-{SPAN_ID}-01", None),
        (f"00-{'0' * 32}-{SPAN_ID}-01", None),
        (f"00-{TRACE_ID}-{'0' * 16}-01", None),
        (f"00-{TRACE_ID.upper()}-{SPAN_ID}-01", None),
        ("", None),
        ("00", None),
    ],
)
def test_a_traceparent_is_read_as_the_standard_says(header: str, trace: Trace | None) -> None:
    """A header that is none is passed over."""
    assert parse_traceparent(header) == trace


def test_a_call_of_nobody_costs_nothing() -> None:
    """Without init the current call can be written to, and is lost."""
    call = current_call()
    call.input_tokens = 1
    call.first_token()
    call.end(ValueError())
    assert isinstance(call, Call)


def test_sizes_follow_the_texts(recorder: Recorder) -> None:
    """A user's id of a megabyte is a megabyte in the queue."""
    small, big = inferwatch_agents.call(), inferwatch_agents.call()
    big.user = "u" * 10**6
    assert big.size() - small.size() == 10**6
    assert recorder.calls == []


def test_a_field_of_a_wrong_type_leaves_the_call_its_number(recorder: Recorder) -> None:
    """It is sent, and what cannot be encoded is counted as such; it has a size all the same."""
    with inferwatch_agents.call(model="m") as call:
        call.user = 17  # type: ignore[assignment]  # as a service may
    assert recorder.one().size() > 0
