"""Structured logs: JSON lines on the standard output, and ``log`` events in ``inferwatch.logs``.

``configure`` is all that most services need; ``Send`` and ``Handler`` are its parts, for a
configuration of one's own.
"""

from inferwatch_agents.logs.configuration import configure
from inferwatch_agents.logs.content import Content
from inferwatch_agents.logs.handler import Handler
from inferwatch_agents.logs.kinds import error, model_performance, request, response
from inferwatch_agents.logs.redaction import Redact, each_text, redact_secrets
from inferwatch_agents.logs.sending import Send

__all__ = [
    "Content",
    "Handler",
    "Redact",
    "Send",
    "configure",
    "each_text",
    "error",
    "model_performance",
    "redact_secrets",
    "request",
    "response",
]
