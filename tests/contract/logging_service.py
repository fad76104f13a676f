"""A service that logs, as its users write it: one call in a request, and a worker that is forked.

python logging_service.py BOOTSTRAP_SERVERS TRACEPARENT
"""

import asyncio
import logging
import os
import sys
from typing import Any

import structlog

import inferwatch_agents
from inferwatch_agents import logs
from inferwatch_agents.asgi import Middleware

logs.configure()
inferwatch_agents.init("logging", environment="test", kafka=sys.argv[1])
log = structlog.get_logger(__name__)


@inferwatch_agents.monitor(model="gpt-4.1", provider="openai")
async def ask(question: str) -> str:
    """Answer, and tell of it."""
    logs.request(prompt=question)
    logging.getLogger("library").warning("retry %d", 1)
    return "an answer"


async def application(_scope: Any, _receive: Any, send: Any) -> None:
    """Serve a request."""
    with inferwatch_agents.identify(user="u1"):
        answer = await ask("a question")
        log.info("answered", completion=answer, key="sk-" + "0123456789" * 4)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer.encode()})


async def serve() -> None:
    """Serve one."""
    headers = [(b"traceparent", sys.argv[2].encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}

    async def nothing(*_: Any) -> dict[str, Any]:
        return {"type": "http.request"}

    await Middleware(application)(scope, nothing, nothing)


asyncio.run(serve())
child = os.fork()
log.info("child" if child == 0 else "parent")
if child == 0:
    sys.exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
