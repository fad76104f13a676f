"""Exceptions as OpenTelemetry's semantic conventions name their parts."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.error_types import class_name

if TYPE_CHECKING:
    from types import TracebackType

    from inferwatch_agents.logs.plain import Plain

TYPE: Final = "exception.type"
MESSAGE: Final = "exception.message"
STACKTRACE: Final = "exception.stacktrace"


def exception_fields(exc_info: Any, plain: Plain) -> dict[str, Any]:
    """The three fields of an exception; none where there is none.

    Args:
        exc_info: An exception, a triple as ``sys.exc_info`` gives it, or true for the one that is
            being handled.
        plain: Bounds the texts.
    """
    if not exc_info:
        return {}
    error: Any = exc_info
    stack: TracebackType | None = None
    if not isinstance(error, BaseException):
        _, error, stack = exc_info if isinstance(exc_info, tuple) else sys.exc_info()
    if not isinstance(error, BaseException):
        return {}
    stack = stack or error.__traceback__
    found = {TYPE: plain.key(class_name(type(error)))}
    try:
        message = str.__str__(str(error))
    except Exception as failure:  # noqa: BLE001  # a foreign exception's own defect; the others are known
        message = f"[reading it raised {type(failure).__name__}]"
    found[MESSAGE] = plain.text(message)
    try:
        lines = traceback.format_exception(type(error), error, stack)
        found[STACKTRACE] = plain.trace("".join(lines).rstrip("\n"))
    except Exception as failure:  # noqa: BLE001  # as above
        found[STACKTRACE] = f"[reading it raised {type(failure).__name__}]"
    return found
