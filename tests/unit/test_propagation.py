"""W3C Trace Context in the headers of records and requests, with OpenTelemetry and without."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sdk_recorder import Recorder

import inferwatch_agents
from inferwatch_agents import traces
from inferwatch_agents.logs.correlation import belonging_fields

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEADERS = [("traceparent", PARENT.encode()), ("tracestate", b"vendor=1,other=2")]
ALONE = """
import sys
import inferwatch_agents
from inferwatch_agents import traces
from inferwatch_agents.errors import ConfigurationError
sys.modules["opentelemetry"] = None
with traces.extract([("traceparent", b"%s"), ("tracestate", b"a=1")]):
    print(traces.inject([("k", b"v")]), traces.headers())
print(traces.inject({}), traces.headers())
for asking in (lambda: traces.SpanExporter, lambda: inferwatch_agents.init("s", traces="kafka")):
    try:
        asking()
    except ConfigurationError as error:
        print(error)
"""


@pytest.mark.parametrize("form", [HEADERS, dict(HEADERS)])
def test_what_is_extracted_is_injected(recorder: Recorder, form: Any) -> None:
    """Both forms carry trace, flags and state, and calls in the block belong to it."""
    with traces.extract(form):
        inferwatch_agents.call().end()
        assert traces.inject([("k", b"v")]) == [("k", b"v"), *HEADERS]
        assert traces.inject({"k": b"v", "traceparent": b"old"}) == {"k": b"v", **dict(HEADERS)}
        assert traces.headers() == {"traceparent": PARENT, "tracestate": "vendor=1,other=2"}
    assert recorder.one().trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert (traces.inject([]), traces.headers()) == ([], {})
    assert not get_current_span().get_span_context().is_valid


def test_logs_of_a_record_belong_to_its_trace() -> None:
    """As the calls do."""
    with traces.extract(HEADERS):
        found = belonging_fields({})
    assert found == {
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
    }


def test_a_trace_takes_the_place_of_one_that_is_there() -> None:
    """Both of its headers: a state belongs to its trace."""
    with traces.extract([("traceparent", PARENT.encode())]):
        old = [("tracestate", b"x=1"), ("k", None), ("traceparent", b"y"), ("traceparent", b"z")]
        same = traces.inject(old)
        assert same is old
        assert same == [("k", None), ("traceparent", PARENT.encode())]
        assert traces.inject({"tracestate": b"x=1"}) == {"traceparent": PARENT.encode()}


def test_the_current_span_goes_out_as_opentelemetry_writes_it() -> None:
    """Also under a remote parent with a state."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with traces.extract(HEADERS), tracer.start_as_current_span("own"):
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        assert traces.headers() == carrier
        assert carrier["tracestate"] == "vendor=1,other=2"


def test_opentelemetry_reads_what_is_written_and_the_other_way() -> None:
    """Records of this SDK and of OpenTelemetry's own instrumentations are one trace."""
    propagator = TraceContextTextMapPropagator()
    with traces.extract(HEADERS):
        ours = traces.inject({})
    token = attach(propagator.extract({name: str(value, "ascii") for name, value in ours.items()}))  # type: ignore[arg-type]  # bytes, as asserted above
    theirs: dict[str, Any] = {}
    propagator.inject(theirs)
    detach(token)
    with traces.extract(theirs):
        assert traces.headers() == {name: value.decode() for name, value in HEADERS}


@given(
    st.lists(st.tuples(st.sampled_from(["traceparent", "tracestate", "k"]),
                       st.none() | st.binary(max_size=80) | st.text(max_size=80)))
    | st.none()
)  # fmt: skip
def test_any_headers_are_borne(found: Any) -> None:
    """The block runs; what is no trace is passed over."""
    ran = False
    with traces.extract(found):
        ran = True
        told = traces.headers()
    assert ran
    assert all(text.isascii() and text.isprintable() for text in told.values())


@pytest.mark.parametrize("found", [7, ["x"], [("traceparent", 7)]])
def test_what_is_no_headers_is_counted(recorder: Recorder, found: Any) -> None:
    """The block runs all the same, and its exceptions are its own."""
    with pytest.raises(KeyError), traces.extract(found):
        raise KeyError
    assert [where for where, _ in recorder.faults] == ["reading the headers of a record"]


def test_a_state_that_no_header_can_have_is_left_out() -> None:
    """A line break would be another header of an outgoing request."""
    with traces.extract([HEADERS[0], ("tracestate", b"a=1\r\nevil: 1")]):
        assert traces.headers() == {"traceparent": PARENT}


def test_without_opentelemetry_traces_are_passed_on_and_spans_refused() -> None:
    """In a process that has none of it; the refusal says what to install."""
    done = subprocess.run(  # noqa: S603  # our own program, no shell
        [sys.executable, "-c", ALONE % PARENT],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    refusal = "Traces need OpenTelemetry's SDK; install inferwatch[otel], or leave traces out."
    passed_on = [("k", b"v"), ("traceparent", PARENT.encode()), ("tracestate", b"a=1")]
    headers = {"traceparent": PARENT, "tracestate": "a=1"}
    assert done.stdout.splitlines() == [f"{passed_on} {headers}", "{} {}", refusal, refusal]
