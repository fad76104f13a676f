"""A small service as its users write it: three lines of monitoring, and calls of every kind.

python instrumented.py BOOTSTRAP_SERVERS
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import inferwatch_agents

inferwatch_agents.init("instrumented", environment="test", kafka=sys.argv[1])

USAGE = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "prompt_tokens_details": {"cached_tokens": 1920},
    "completion_tokens_details": {"reasoning_tokens": 128},
}


class OverloadedError(Exception):
    """As a client raises it."""

    status_code = 529


@inferwatch_agents.monitor(provider="openai", endpoint="/v1/chat")
def ask(*, model: str) -> dict[str, Any]:
    """Answer as OpenAI does."""
    return {"model": f"{model}-2025-04-14", "choices": [], "usage": USAGE}


@inferwatch_agents.monitor(model="claude-sonnet-4-0", provider="anthropic")
def stream() -> Iterator[dict[str, Any]]:
    """Answer as Anthropic does."""
    usage = {"input_tokens": 21, "cache_read_input_tokens": 1000, "output_tokens": 1}
    message = {"model": "claude-sonnet-4-20250514", "usage": usage}
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_delta", "delta": {"text": "Hi"}}
    yield {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 393}}


@inferwatch_agents.monitor(model="llama", provider="vllm")
async def fail() -> None:
    """Fail as a client does."""
    raise OverloadedError


@inferwatch_agents.monitor(model="llama", provider="vllm")
async def forever() -> AsyncIterator[str]:
    """Answer without end."""
    while True:
        await asyncio.sleep(0)
        yield "word"


async def serve() -> None:
    """Call each once."""
    with inferwatch_agents.identify(user="u1", session="s1"):
        ask(model="gpt-4.1")
    with inferwatch_agents.in_experiment("prompt", "b"):
        for _ in stream():
            pass
    with contextlib.suppress(OverloadedError):
        await fail()
    words = forever()
    async for _ in words:
        break
    await words.aclose()  # type: ignore[attr-defined]  # it is a generator
    with inferwatch_agents.call(model="own", provider="me", operation="embeddings") as call:
        call.input_tokens = 8


asyncio.run(serve())
# The end of the process sends what waits.
