"""W3C Trace Context in and out: headers of HTTP requests and of Kafka records.

The place in the trace is OpenTelemetry's current span where the service has imported OpenTelemetry.
Without it the caller's own headers are passed on, so that a trace does not end here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from inferwatch_agents import process
from inferwatch_agents.context import BELONGING, Entered
from inferwatch_agents.trace_context import OPENTELEMETRY, current_trace, parse_traceparent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from inferwatch_agents.trace_context import Trace

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

Value: TypeAlias = "bytes | str | None"
# What Kafka's client takes.
H = TypeVar("H", "list[tuple[str, Value]]", "dict[str, Value]")


def headers() -> dict[str, str]:
    """Headers for an outgoing HTTP request; none where there is no trace.

    Never raises.
    """
    try:
        trace = current_trace() or BELONGING.get().trace
    except Exception as error:  # noqa: BLE001  # OpenTelemetry's, no concern of the caller
        _fault("reading the current trace", error)
        return {}
    if trace is None:
        return {}
    found = {TRACEPARENT: trace.traceparent()}
    if trace.state:
        found[TRACESTATE] = trace.state
    return found


def inject(into: H) -> H:
    """Put the current trace into the headers of a Kafka record, in place of one that is there.

        producer.produce(topic, value, headers=traces.inject([]))

    Args:
        into: Of confluent-kafka's forms: a list of pairs or a dictionary; it is changed.

    Returns:
        The same.
    """
    found = {name: text.encode() for name, text in headers().items()}
    if not found:
        return into
    if isinstance(into, dict):
        into.pop(TRACESTATE, None)
        into.update(found)
    else:
        into[:] = [pair for pair in into if pair[0] not in (TRACEPARENT, TRACESTATE)]
        into.extend(found.items())
    return into


@contextmanager
def extract(
    found: Iterable[tuple[str, Value]] | Mapping[str, Value] | None,
) -> Iterator[None]:
    """Make what runs in a ``with`` block part of the trace that the headers of a record name.

        with traces.extract(message.headers()):
            answer(message.value())

    Args:
        found: As confluent-kafka gives them: a list of pairs, a dictionary, or None. Without a
            trace in them the block runs as if it stood alone.
    """
    with ExitStack() as stack:
        try:
            trace = trace_in(found)
            if trace is not None:
                stack.enter_context(Entered(replace(BELONGING.get(), trace=trace)))
                if OPENTELEMETRY in sys.modules:
                    remote = import_module("inferwatch_agents.traces.remote_spans")
                    stack.enter_context(remote.attached(trace))
        except Exception as error:  # noqa: BLE001  # headers are foreign, and no reason not to run the block
            _fault("reading the headers of a record", error)
        yield


def trace_in(
    found: Iterable[tuple[str, Value]] | Mapping[str, Value] | None,
) -> Trace | None:
    """The trace that headers of a record name; of a name that occurs twice the last counts."""
    pairs = found.items() if isinstance(found, Mapping) else found or ()
    texts = {
        name: value.decode("latin-1") if isinstance(value, bytes) else value
        for name, value in pairs
        if name in (TRACEPARENT, TRACESTATE) and value
    }
    return parse_traceparent(texts.get(TRACEPARENT, ""), texts.get(TRACESTATE, ""))


def _fault(where: str, error: Exception) -> None:
    sdk = process.active()
    if sdk is not None:
        sdk.fault(where, error)
