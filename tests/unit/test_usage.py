"""Usage of OpenAI-, Anthropic- and vLLM-shaped answers, whole and in chunks, objects and dicts.

The shapes were recorded from the types of openai 3.57 and anthropic 2.13.
"""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_agents.usage import NOTHING, Usage, is_token, read


def as_object(value: Any) -> Any:
    """A dictionary as an object with attributes, all the way down."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(item) for name, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


CHAT = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4.1-2025-04-14",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant"}}],
    "usage": {
        "prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 128, "audio_tokens": 0},
    },
}  # fmt: skip
RESPONSE = {
    "id": "resp_1", "object": "response", "model": "o4-mini-2025-04-16", "status": "completed",
    "error": None, "incomplete_details": None, "output": [],
    "usage": {
        "input_tokens": 75, "input_tokens_details": {"cached_tokens": 32, "cache_write_tokens": 8},
        "output_tokens": 1186, "output_tokens_details": {"reasoning_tokens": 1024},
        "total_tokens": 1261,
    },
}  # fmt: skip
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-20250514",
    "content": [], "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {
        "input_tokens": 21, "cache_creation_input_tokens": 188, "cache_read_input_tokens": 1000,
        "output_tokens": 393, "output_tokens_details": {"thinking_tokens": 90},
        "service_tier": "standard",
    },
}  # fmt: skip
VLLM = {
    "id": "chatcmpl-2", "object": "chat.completion", "model": "meta-llama/Llama-3.3-70B-Instruct",
    "choices": [{"index": 0, "finish_reason": "length", "stop_reason": None}],
    "usage": {
        "prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19,
        "prompt_tokens_details": None,
    },
}  # fmt: skip
EMBEDDINGS = {
    "object": "list", "model": "text-embedding-3-small", "data": [],
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}  # fmt: skip
REQUEST_OUTPUT = {
    "request_id": "0", "prompt_token_ids": [1, 2, 3, 4], "num_cached_tokens": 2,
    "outputs": [{"index": 0, "token_ids": [5, 6]}, {"index": 1, "token_ids": [7]}],
    "finished": True,
}  # fmt: skip
FAILED = RESPONSE | {
    "status": "failed", "usage": None, "error": {"code": "server_error", "message": "It broke."},
}  # fmt: skip

ANSWERS = {
    "chat completion": (
        CHAT, Usage(2006, 300, 1920, 128, None, "gpt-4.1-2025-04-14", "stop")),
    "response": (
        RESPONSE, Usage(75, 1186, 32, 1024, 8, "o4-mini-2025-04-16", "completed")),
    "message": (
        MESSAGE, Usage(1209, 393, 1000, 90, 188, "claude-sonnet-4-20250514", "end_turn")),
    "vllm": (
        VLLM, Usage(12, 7, None, None, None, "meta-llama/Llama-3.3-70B-Instruct", "length")),
    "embeddings": (EMBEDDINGS, Usage(8, None, None, None, None, "text-embedding-3-small")),
    "vllm in the process": (REQUEST_OUTPUT, Usage(4, 3, 2)),
    "failed response": (
        FAILED,
        Usage(None, None, None, None, None, "o4-mini-2025-04-16", "failed", "server_error")),
}  # fmt: skip


@pytest.mark.parametrize("make", [dict, as_object], ids=["dict", "object"])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_as_our_fields_mean_it(name: str, make: Any) -> None:
    """Input includes cached tokens and output reasoning ones, whatever the provider's fields do."""
    answer, expected = ANSWERS[name]
    assert read(make(answer)) == expected


CHUNK = {"object": "chat.completion.chunk", "model": "gpt-4.1-2025-04-14", "usage": None}
CHAT_CHUNKS = [
    CHUNK | {"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]},
    CHUNK | {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]},
    CHUNK | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    CHUNK | {"choices": [], "usage": CHAT["usage"]},
]
CUMULATIVE_CHUNKS = [
    CHUNK
    | {
        "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}],
        "usage": {"prompt_tokens": 12, "completion_tokens": count, "total_tokens": 12 + count},
    }
    for count in (1, 2, 3)
]
RESPONSE_EVENTS = [
    {"type": "response.created", "response": RESPONSE | {"usage": None, "status": "in_progress"}},
    {"type": "response.output_text.delta", "delta": "Hi", "item_id": "1"},
    {"type": "response.completed", "response": RESPONSE},
]
MESSAGE_EVENTS = [
    {
        "type": "message_start",
        "message": MESSAGE
        | {
            "stop_reason": None,
            "usage": {
                "input_tokens": 21, "cache_creation_input_tokens": 188,
                "cache_read_input_tokens": 1000, "output_tokens": 1,
            },
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 393, "output_tokens_details": {"thinking_tokens": 90}},
    },
    {"type": "message_stop"},
]  # fmt: skip
STREAMS = {
    "chat": (CHAT_CHUNKS, ANSWERS["chat completion"][1]),
    "cumulative": (
        CUMULATIVE_CHUNKS, Usage(12, 3, None, None, None, "gpt-4.1-2025-04-14", None)),
    "responses": (RESPONSE_EVENTS, ANSWERS["response"][1]),
    "messages": (MESSAGE_EVENTS, ANSWERS["message"][1]),
}  # fmt: skip


@pytest.mark.parametrize("make", [dict, as_object], ids=["dict", "object"])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_says_the_same_as_the_whole(name: str, make: Any) -> None:
    """Chunks say it at the end, at the start, or cumulatively; nothing is counted twice."""
    chunks, expected = STREAMS[name]
    found = NOTHING
    for chunk in chunks:
        found = read(make(chunk), found)
    assert found == expected


def test_a_part_that_is_said_again_replaces_only_itself() -> None:
    """Anthropic's last message may repeat the input without the cache's share, or all of it."""
    start = read(MESSAGE_EVENTS[0])
    again = {
        "type": "message_delta",
        "delta": {},
        "usage": {"input_tokens": 30, "output_tokens": 5},
    }
    assert read(again, start)[:5] == (1218, 5, 1000, None, 188)
    usage = {
        "input_tokens": 30, "cache_read_input_tokens": 0, "cache_creation_input_tokens": None,
        "output_tokens": 5,
    }  # fmt: skip
    assert read(again | {"usage": usage}, start)[:5] == (218, 5, 0, None, 188)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_parts_never_exceed_their_whole(fresh: int, read_: int, written: int) -> None:
    """Whatever a cache served and took, the total holds it exactly once."""
    usage = {
        "input_tokens": fresh, "cache_read_input_tokens": read_,
        "cache_creation_input_tokens": written, "output_tokens": 1,
    }  # fmt: skip
    found = read({"type": "message", "usage": usage})
    assert found.input_tokens == fresh + read_ + written
    assert (found.cached_tokens, found.cache_write_tokens) == (read_, written)


ERRORS = [
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    {"type": "error", "code": "overloaded_error", "message": "Overloaded", "param": None},
    {"error": {"message": "Overloaded", "type": "overloaded_error", "code": 503}},
    {"type": "response.failed", "response": FAILED | {"error": {"code": "overloaded_error",
                                                                "message": "Overloaded"}}},
]  # fmt: skip


@pytest.mark.parametrize("make", [dict, as_object], ids=["dict", "object"])
@pytest.mark.parametrize("event", ERRORS)
def test_a_failure_in_a_stream_is_told(event: dict[str, Any], make: Any) -> None:
    """A provider's word for a failure that comes as an answer is the type of the error."""
    assert read(make(event)).error_type == "overloaded_error"


class Trap:
    """An object of the service's own, with names that mean something else here."""

    model = "Corolla"
    error = "none"
    status = "failed"
    type = "vehicle"


@pytest.mark.parametrize(
    "thing",
    [None, "text", b"bytes", 7, True, 1.5, [1], (1, 2), object(), Trap(), {}, {"model": "x"},
     {"usage": None, "type": 7}, {"usage": {"prompt_tokens": True}}, {"usage": {"a": -1}},
     {"choices": "none"}, {"error": "text"}],
)  # fmt: skip
def test_what_is_no_answer_says_nothing(thing: Any) -> None:
    """A function may return anything; what is not known for an answer is passed over."""
    assert read(thing) == NOTHING


def test_announcements_are_no_tokens() -> None:
    """Events before the first token do not count as it."""
    assert [is_token(event) for event in MESSAGE_EVENTS[:4]] == [False, True, False, True]
    assert [is_token(as_object(event)) for event in RESPONSE_EVENTS] == [False, True, True]
    assert is_token("text")
