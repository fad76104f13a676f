"""A log record's fields, all plain, as the record of a ``log`` event."""

from __future__ import annotations

import functools
import json
import socket
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.logs import correlation, exceptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_agents.owner import Owner

SCHEMA: Final = "log"
EVENT: Final = "event"
LEVEL: Final = "level"
LOGGER: Final = "logger"
TIMESTAMP: Final = "timestamp"
EVENT_NAME: Final = "event_name"
ERROR_TYPE: Final = "error.type"


class Draft:
    """See ``event_queue.Draft``: the thread that sends it makes the record of it."""

    __slots__ = ("_fields", "_owner", "_severity")

    def __init__(self, owner: Owner, severity: int | None, fields: dict[str, Any]) -> None:
        """Keep what the record is made of.

        Args:
            owner: Names service and environment.
            severity: OpenTelemetry SeverityNumber.
            fields: As ``log_record`` takes them; nobody changes them any more.
        """
        self._owner = owner
        self._severity = severity
        self._fields = fields

    def record(self) -> Mapping[str, Any]:
        """The ``log`` event without its header."""
        record = log_record(self._fields, self._severity)
        record["service_name"] = self._owner.service
        record["deployment_environment_name"] = self._owner.environment
        return record


def log_record(fields: Mapping[str, Any], severity: int | None) -> dict[str, Any]:
    """All fields but the event's header and those of service and environment.

    Args:
        fields: Plain values by name: the message under ``event``, structlog's ``level``, ``logger``
            and ``timestamp``, OpenTelemetry's names of exceptions; all others are attributes.
        severity: OpenTelemetry SeverityNumber.
    """
    rest = dict(fields)
    # The event's own time is in its header.
    rest.pop(TIMESTAMP, None)
    body = rest.pop(EVENT, "")
    trace_id = span_id = None
    if correlation.is_trace_id(rest.get(correlation.TRACE)):
        trace_id = rest.pop(correlation.TRACE)
        if correlation.is_span_id(rest.get(correlation.SPAN)):
            span_id = rest.pop(correlation.SPAN)
    return {
        "host_name": _host_name(),
        "otel_scope_name": _taken(rest, LOGGER),
        "severity_number": severity,
        "severity_text": _taken(rest, LEVEL),
        "body": "" if body is None else as_text(body),
        "event_name": _taken(rest, EVENT_NAME),
        "trace_id": trace_id,
        "span_id": span_id,
        "error_type": _taken(rest, ERROR_TYPE),
        "exception_type": _taken(rest, exceptions.TYPE),
        "exception_message": _taken(rest, exceptions.MESSAGE),
        "exception_stacktrace": _taken(rest, exceptions.STACKTRACE),
        "attributes": [{"key": key, "value": as_text(value)} for key, value in rest.items()],
    }


def as_text(value: Any) -> str:
    """A plain value as text: JSON, but for texts, which stay as they are."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _taken(rest: dict[str, Any], name: str) -> str | None:
    value = rest.pop(name, None)
    return None if value is None else as_text(value)


@functools.cache
def _host_name() -> str:
    return socket.gethostname()
