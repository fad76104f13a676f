"""What a log record belongs to: the trace, and whose request it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.calls import CURRENT
from inferwatch_agents.context import BELONGING
from inferwatch_agents.trace_context import current_trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_agents.context import Belonging
    from inferwatch_agents.trace_context import Trace

TRACE: Final = "trace_id"
SPAN: Final = "span_id"
USER: Final = "user.id"
SESSION: Final = "session.id"
_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}", re.ASCII)
_SPAN_ID: Final = re.compile(r"(?!0{16})[0-9a-f]{16}", re.ASCII)


def is_trace_id(value: Any) -> bool:
    """Whether it is a W3C trace id."""
    return isinstance(value, str) and _TRACE_ID.fullmatch(value) is not None


def is_span_id(value: Any) -> bool:
    """Whether it is a W3C span id."""
    return isinstance(value, str) and _SPAN_ID.fullmatch(value) is not None


def belonging_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Trace, user and session of where this is called, as fields of a log record.

    A trace id that the record was given stands, and so do its user and session.

    Args:
        given: The record's own fields.
    """
    found: dict[str, Any] = {}
    belonging = BELONGING.get()
    if not is_trace_id(given.get(TRACE)) and (trace := _trace(belonging)) is not None:
        found[TRACE], found[SPAN] = trace[:2]
    if belonging.user is not None and USER not in given:
        found[USER] = belonging.user
    if belonging.session is not None and SESSION not in given:
        found[SESSION] = belonging.session
    return found


def _trace(belonging: Belonging) -> tuple[str | None, str | None] | Trace | None:
    if (trace := current_trace()) is not None:
        return trace
    call = CURRENT.get()
    # Whoever has the call may have set them to anything.
    if call is not None and is_trace_id(call.trace_id) and is_span_id(call.span_id):
        return call.trace_id, call.span_id
    return belonging.trace
