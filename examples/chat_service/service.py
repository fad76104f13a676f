"""A chat service over a stand-in for a model, monitored by Inferwatch in three places.

uvicorn --app-dir examples/chat_service service:app

They are marked with their number. All else is the service's own.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import stand_in
from fastapi import FastAPI
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

import inferwatch_agents
from inferwatch_agents.asgi import Middleware

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

# Calls of the model at a time; more are refused, which is better than being slow for everybody.
ROOM: Final = 16

inferwatch_agents.init(service="chat-example")  # 1

app = FastAPI(title="Chat, over a stand-in for a model")
app.add_middleware(Middleware, metrics_path="/metrics")  # 2
busy = 0


class Question(BaseModel):
    """What a client sends."""

    question: str
    model: str = "stand-in-small"
    user: str | None = None


class OverloadedError(stand_in.ModelError):
    """The service sheds load."""

    status_code = 503


@asynccontextmanager
async def room() -> AsyncIterator[None]:
    """Room for one call of the model.

    Raises:
        OverloadedError: There is none.
    """
    global busy  # noqa: PLW0603  # of this process; asyncio has one thread
    if busy >= ROOM:
        raise OverloadedError("The service is overloaded; try again in a second.")
    busy += 1
    try:
        yield
    finally:
        busy -= 1


@inferwatch_agents.monitor(provider="stand-in")  # 3
async def ask(question: str, *, model: str) -> dict[str, Any]:
    """Answer whole."""
    async with room():
        return await stand_in.complete(question, model=model)


@inferwatch_agents.monitor(provider="stand-in")  # 3, for a stream
async def ask_for_stream(question: str, *, model: str) -> AsyncIterator[dict[str, Any]]:
    """Answer word by word; its first item is the first token."""
    async with room():
        async for chunk in stand_in.stream(question, model=model):
            yield chunk


@app.post("/v1/chat")
async def chat(asked: Question) -> dict[str, Any]:
    """Answer whole."""
    with inferwatch_agents.identify(user=asked.user):
        return await ask(asked.question, model=asked.model)


@app.post("/v1/chat/stream")
async def chat_stream(asked: Question) -> StreamingResponse:
    """Answer as server-sent events."""
    inferwatch_agents.identify(user=asked.user)
    chunks = ask_for_stream(asked.question, model=asked.model)
    # Where the model refuses, it does so before its first word, and can still be told by a status.
    first = await anext(chunks)

    async def lines() -> AsyncIterator[str]:
        yield f"data: {json.dumps(first)}\n\n"
        async for chunk in chunks:
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


@app.exception_handler(stand_in.ModelError)
async def refuse(_request: Request, error: stand_in.ModelError) -> JSONResponse:
    """Tell the client what the model would not do."""
    kind = type(error).__name__
    return JSONResponse({"error": {"type": kind, "message": str(error)}}, error.status_code)
