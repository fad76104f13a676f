"""A stand-in for a model: no weights, no network, the same answer to the same question.

It takes the time that a model takes, so many seconds to read the question and so many for each
token; counts tokens as models do; and fails as providers do, in a few of the questions. A token is
a word here. What it says means nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WORDS: Final = ("the", "a", "model", "answers", "this", "question", "by", "words")
CONTEXT_TOKENS: Final = 1000
# One question in so many fails, always the same ones.
FAILS: Final = 50


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a model is.

    Attributes:
        input_seconds: For each token of the question.
        output_seconds: For each token of the answer.
    """

    input_seconds: float
    output_seconds: float


SPEEDS: Final = {
    "stand-in-small": Speed(0.0002, 0.002),
    "stand-in-large": Speed(0.0005, 0.006),
}


class ModelError(Exception):
    """The model does not answer.

    Attributes:
        status_code: The HTTP status that says so.
    """

    status_code = 500


class UnknownModelError(ModelError):
    """There is no such model."""

    status_code = 404


class ContextLengthExceededError(ModelError):
    """The question is too long."""

    status_code = 400


class InternalModelError(ModelError):
    """It broke down over this question."""


async def stream(question: str, *, model: str) -> AsyncIterator[dict[str, Any]]:
    """Answer in chunks shaped as OpenAI's, the last with the usage.

    Raises:
        ModelError: See its kinds.
    """
    speed = SPEEDS.get(model)
    if speed is None:
        raise UnknownModelError(f"There is no model {model!r}; there are {', '.join(SPEEDS)}.")
    read = len(question.split())
    if read > CONTEXT_TOKENS:
        raise ContextLengthExceededError(f"The question has {read} tokens, of {CONTEXT_TOKENS}.")
    await asyncio.sleep(speed.input_seconds * read)
    chance = hashlib.sha256(question.encode()).digest()
    if chance[0] % FAILS == 0:
        raise InternalModelError("The stand-in fails at this question.")
    answer = [WORDS[byte % len(WORDS)] for byte in chance[: 4 + chance[1] % 28]]
    for word in answer:
        await asyncio.sleep(speed.output_seconds)
        yield {"model": model, "choices": [{"index": 0, "delta": {"content": f"{word} "}}]}
    usage = {"prompt_tokens": read, "completion_tokens": len(answer)}
    yield {"model": model, "choices": [], "usage": usage}


async def complete(question: str, *, model: str) -> dict[str, Any]:
    """Answer at once.

    Raises:
        ModelError: See its kinds.
    """
    text, last = "", dict[str, Any]()
    async for last in stream(question, model=model):
        text += "".join(choice["delta"]["content"] for choice in last["choices"])
    message = {"role": "assistant", "content": text.rstrip()}
    return {**last, "choices": [{"index": 0, "message": message}]}
