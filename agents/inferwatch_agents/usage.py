"""Reads tokens, model and errors from what model clients return, whole or in chunks of a stream.

By attribute or key, without importing any client. The meaning is that of the ``request`` event:
input tokens include cached ones, output tokens include reasoning ones. What providers say differs:

- OpenAI (chat completions, embeddings and responses) and vLLM's server: ``prompt_tokens`` and
  ``input_tokens`` include ``cached_tokens``; ``completion_tokens`` and ``output_tokens`` include
  ``reasoning_tokens``. A stream says it in its last chunk (with ``include_usage``), or, where vLLM
  says it in each (``continuous_usage_stats``), cumulatively.
- Anthropic: "Total input tokens in a request is the summation of ``input_tokens``,
  ``cache_creation_input_tokens``, and ``cache_read_input_tokens``"; ``output_tokens`` includes
  ``thinking_tokens``. A stream says the input in ``message_start`` and the output, cumulatively, in
  ``message_delta``.
- vLLM in the process (``RequestOutput``): lists of token ids; cached ones are among the prompt's.

Checked against the types of openai 3.57 and anthropic 2.13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTHING_TO_READ: Final = (str, bytes, bytearray, int, float, bool, type(None))
# Sent before the model has made its first token.
_PRELUDES: Final = frozenset(
    (
        "message_start",
        "ping",
        "response.created",
        "response.queued",
        "response.in_progress",
    )
)
_MESSAGES: Final = frozenset(("message_start", "message_stop"))


class Usage(NamedTuple):
    """What a response said; None where it did not.

    Attributes:
        input_tokens: All input tokens, those served or written by a cache included.
        output_tokens: All output tokens, reasoning ones included.
        cached_tokens: Input tokens that a provider's cache served.
        reasoning_tokens: Output tokens spent on reasoning.
        cache_write_tokens: Input tokens that were written to a provider's cache.
        model: The model that answered.
        finish_reason: Why it ended, in the provider's word.
        error_type: The provider's word for a failure that is told in the response.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None
    model: str | None = None
    finish_reason: str | None = None
    error_type: str | None = None


NOTHING: Final = Usage()


def is_token(item: Any) -> bool:
    """Whether an item of a stream carries a part of the answer, or only announces one."""
    kind = item.get("type") if isinstance(item, dict) else getattr(item, "type", None)
    return not (isinstance(kind, str) and kind in _PRELUDES)


def read(item: Any, before: Usage = NOTHING) -> Usage:
    """What a response or a chunk says, over what chunks before it said.

    Args:
        item: Anything; what is not known is passed over.
        before: What is known so far.
    """
    if isinstance(item, _NOTHING_TO_READ):
        return before
    get = _getter(item)
    kind = get("type")
    announced = False
    if isinstance(kind, str):
        if kind == "error":
            return _over(before, Usage(error_type=_error(get) or _text(get("code")) or kind))
        announced = kind in _MESSAGES or kind.startswith("response.")
        if announced:
            item = get("message" if kind in _MESSAGES else "response")
            if item is None:
                return before
            get = _getter(item)
    usage, error = get("usage"), _error(get)
    if usage is None and error is None and not announced and get("choices") is None:
        # Not the answer of a model, as far as is known here: its other fields mean something else.
        return before if get("prompt_token_ids") is None else _over(before, _token_ids(get))
    model, finish = _text(get("model")), _finish(get)
    if usage is None and error is None and finish is None and model in (None, before.model):
        # Most chunks of a stream, which are many.
        return before
    said = Usage(model=model, finish_reason=finish, error_type=error)
    if usage is not None:
        said = _over(said, _counted(_getter(usage), before))
    return _over(before, said)


def _counted(get: Callable[[str], Any], before: Usage) -> Usage:
    if (prompt := _count(get("prompt_tokens"))) is not None:
        return _including(
            prompt,
            _count(get("completion_tokens")),
            get("prompt_tokens_details"),
            get("completion_tokens_details"),
        )
    fresh, output = _count(get("input_tokens")), _count(get("output_tokens"))
    if (details := get("input_tokens_details")) is not None:
        return _including(fresh, output, details, get("output_tokens_details"))
    read_, written = (
        _count(get("cache_read_input_tokens")),
        _count(get("cache_creation_input_tokens")),
    )
    # A later message may say one of the parts again and be silent about the others.
    cached = before.cached_tokens if read_ is None else read_
    cache_write = before.cache_write_tokens if written is None else written
    if fresh is None and before.input_tokens is not None:
        fresh = before.input_tokens - (before.cached_tokens or 0) - (before.cache_write_tokens or 0)
    return Usage(
        input_tokens=None if fresh is None else fresh + (cached or 0) + (cache_write or 0),
        output_tokens=output,
        cached_tokens=cached,
        reasoning_tokens=_count(_inside(get("output_tokens_details"), "thinking_tokens")),
        cache_write_tokens=cache_write,
    )


def _including(
    prompt: int | None, output: int | None, prompt_details: Any, output_details: Any
) -> Usage:
    return Usage(
        input_tokens=prompt,
        output_tokens=output,
        cached_tokens=_count(_inside(prompt_details, "cached_tokens")),
        reasoning_tokens=_count(_inside(output_details, "reasoning_tokens")),
        cache_write_tokens=_count(_inside(prompt_details, "cache_write_tokens")),
    )


def _token_ids(get: Callable[[str], Any]) -> Usage:
    outputs = [_inside(output, "token_ids") for output in get("outputs") or ()]
    return Usage(
        input_tokens=len(get("prompt_token_ids")),
        output_tokens=sum(len(ids) for ids in outputs if ids is not None),
        cached_tokens=_count(get("num_cached_tokens")),
    )


def _finish(get: Callable[[str], Any]) -> str | None:
    if reason := _text(get("stop_reason")) or _text(_inside(get("delta"), "stop_reason")):
        return reason
    choices = get("choices")
    if isinstance(choices, list | tuple) and choices:
        return _text(_inside(choices[0], "finish_reason"))
    return _text(_inside(get("incomplete_details"), "reason")) or _text(get("status"))


def _error(get: Callable[[str], Any]) -> str | None:
    error = get("error")
    if error is None or not isinstance(_inside(error, "message"), str):
        # A service's own object may have an error that means something else.
        return None
    return _text(_inside(error, "code")) or _text(_inside(error, "type")) or "error"


def _over(before: Usage, new: Usage) -> Usage:
    if before is NOTHING:
        return new
    return before._replace(
        **{name: value for name, value in new._asdict().items() if value is not None}
    )


def _getter(item: Any) -> Callable[[str], Any]:
    if isinstance(item, dict):
        return item.get
    return lambda name: getattr(item, name, None)


def _inside(item: Any, name: str) -> Any:
    return None if item is None else _getter(item)(name)


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
