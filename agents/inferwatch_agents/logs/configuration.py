"""One call that makes structlog and ``logging`` write JSON lines and send ``log`` events."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final

import structlog

from inferwatch_agents.errors import ConfigurationError
from inferwatch_agents.logs.handler import Handler
from inferwatch_agents.logs.output import LineLogger, Output
from inferwatch_agents.logs.redaction import redact_secrets
from inferwatch_agents.logs.sending import Send

if TYPE_CHECKING:
    from typing import TextIO

    from inferwatch_agents.logs.redaction import Redact

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
# Servers that give their loggers consoles of their own, and keep their records from the root.
SERVERS: Final = (
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "gunicorn.error",
    "gunicorn.access",
    "hypercorn.error",
    "hypercorn.access",
)


def configure(
    *,
    level: str = "info",
    stream: TextIO | None = None,
    redact: Redact | None = redact_secrets,
    content: bool = False,
    libraries: bool = True,
) -> None:
    """Write records of structlog and ``logging`` as JSON lines, and send them as ``log`` events.

    Called at the start, before or after ``inferwatch_agents.init``; called again, it replaces what
    it did. Without ``init``, and after ``shutdown``, lines are written and nothing is sent.

    Args:
        level: Records below it are passed over: debug, info, warning, error or critical.
        stream: Where lines go; the standard output when None.
        redact: Given a record's fields, all plain, it returns those that may leave; None for no
            redaction. When it raises, nothing of the record leaves but its level, time and trace.
        content: Whether prompts and completions are logged; else only their length is.
        libraries: Whether records of ``logging`` are taken too. Then handlers that write to the
            console leave the root logger and those of uvicorn, gunicorn and hypercorn; others stay.

    Raises:
        ConfigurationError: An argument cannot be.
    """
    if level not in LEVELS:
        raise ConfigurationError(f"level is {level!r}; it must be one of {', '.join(LEVELS)}.")
    if redact is not None and not callable(redact):
        raise ConfigurationError(f"redact is {redact!r}; it must be a function or None.")
    if stream is not None and not hasattr(stream, "write"):
        raise ConfigurationError(f"stream is {stream!r}; it must be a file that can be written to.")
    output = Output(stream)
    send = Send(redact=redact, content=content)
    render = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.StackInfoRenderer(),
            send,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *names: LineLogger(output, names[0] if names else None),
        # Less than a microsecond would be saved, and whoever configures again not be heard.
        cache_logger_on_first_use=False,
    )

    def write(fields: dict[str, Any]) -> None:
        output.write(str(render(None, "", fields)))

    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Installed):
            root.removeHandler(handler)
    if libraries:
        for logger in (root, *map(logging.getLogger, SERVERS)):
            _leave_console(logger)
        root.addHandler(_Installed(send, write))
        root.setLevel(LEVELS[level])


class _Installed(Handler):
    """The one that ``configure`` adds, to be found again."""


def _leave_console(logger: logging.Logger) -> None:
    for handler in list(logger.handlers):
        # Not its subclasses: those write to files, or do more.
        if type(handler) is logging.StreamHandler and handler.stream in (sys.stdout, sys.stderr):
            logger.removeHandler(handler)
    logger.propagate = True
