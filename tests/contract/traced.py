"""A service with traces: a request, a call in it, a stream and a failure, over Kafka to another.

python traced.py BOOTSTRAP_SERVERS
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from opentelemetry import trace

import inferwatch_agents
from inferwatch_agents import traces

inferwatch_agents.init("traced", environment="test", kafka=sys.argv[1], traces="kafka")
tracer = trace.get_tracer("the service's own")


@inferwatch_agents.monitor(model="gpt-4.1", provider="openai", endpoint="/v1/chat")
def ask() -> dict[str, Any]:
    """Answer as OpenAI does."""
    return {"model": "gpt-4.1-2025-04-14", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}


@inferwatch_agents.monitor(model="llama", provider="vllm")
def stream() -> Iterator[str]:
    """Fail after some words."""
    yield "some"
    yield "words"
    raise TimeoutError("too slow")


with tracer.start_as_current_span("question") as question:
    ask()
    record = traces.inject([])

# What another service does with the record.
with traces.extract(record), contextlib.suppress(TimeoutError):
    for _ in stream():
        pass

print(f"{question.get_span_context().trace_id:032x}")  # noqa: T201  # its answer to the test
# The end of the process sends what waits.
