"""The structlog processor that makes a record safe, redacts it, and sends it as a ``log`` event.

What stands after it in the chain gets what was sent: so the JSON line and the event are the same,
and neither has what the hook took out.
"""

from __future__ import annotations

import threading
import time
from logging import LogRecord
from typing import TYPE_CHECKING, Any, Final

from structlog import DropEvent

from inferwatch_agents import process
from inferwatch_agents.error_types import class_name
from inferwatch_agents.errors import RedactionError
from inferwatch_agents.logs import severity
from inferwatch_agents.logs.correlation import SPAN, TRACE, belonging_fields
from inferwatch_agents.logs.exceptions import exception_fields
from inferwatch_agents.logs.faults import fault
from inferwatch_agents.logs.plain import TOTAL, Plain
from inferwatch_agents.logs.record import EVENT, LEVEL, LOGGER, SCHEMA, TIMESTAMP, Draft
from inferwatch_agents.logs.redaction import redact_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from inferwatch_agents.logs.redaction import Redact

# What a record takes in memory besides its texts and values, roughly.
RECORD_BYTES: Final = 1000
WITHHELD: Final = "[withheld: the record could not be redacted]"
UNREADABLE: Final = "[withheld: the record could not be read]"
# A record may be logged while one is made, by a signal handler or a hook; deeper ones are a hook
# that logs what it is called for.
MOST_NESTED: Final = 3
# What structlog's ProcessorFormatter gives to its processors, and wants to find again.
_RECORD: Final = "_record"
_FORMATTER_KEYS: Final = (_RECORD, "_from_structlog")
# structlog's names of levels that are not the name of the method.
_LEVELS: Final = {"warn": "warning", "exception": "error", "fatal": "critical"}

_making = threading.local()


class Send:
    """A structlog processor; stands after those that add fields, and before those that render.

    Exceptions are taken from ``exc_info``, so it stands before ``format_exc_info`` too. It never
    raises but ``structlog.DropEvent``, which a hook may raise to have a record dropped. Without
    ``inferwatch_agents.init``, everything but the sending is done.
    """

    def __init__(
        self,
        *,
        redact: Redact | None = redact_secrets,
        content: bool = False,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        """Make it.

        Args:
            redact: Given a record's fields, all plain, it returns those that may leave. When it
                raises, nothing of the record leaves but its level, time and trace.
            content: Whether prompts and completions are logged; else only their length is.
            now: Clock, in nanoseconds since 1970 (UTC).
        """
        self._redact = redact
        self._content = content
        self._now = now

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> dict[str, Any]:
        """Send a record, and return what is left of it."""
        nested = getattr(_making, "nested", 0)
        _making.nested = nested + 1
        try:
            if nested < MOST_NESTED:
                return self._process(logger, method_name, event_dict)
            fault("logging", RedactionError("A record was logged while one was made."))
        except DropEvent:
            raise
        except Exception as error:  # noqa: BLE001  # the caller's work is not to end for its logging
            fault("making a log record", RedactionError(_raised(error)))
        finally:
            _making.nested = nested
        return {LEVEL: method_name, EVENT: UNREADABLE, **_of_formatter(event_dict)}

    def _process(
        self, logger: Any, method_name: str, event: MutableMapping[str, Any]
    ) -> dict[str, Any]:
        given = event.get(_RECORD)
        of_logging = given if isinstance(given, LogRecord) else None
        at = self._now() // 1000 if of_logging is None else int(of_logging.created * 1e6)
        level = _LEVELS.get(method_name, method_name)
        name = getattr(logger, "name", None) if of_logging is None else of_logging.name
        head: dict[str, Any] = {TIMESTAMP: _iso(at), LEVEL: level}
        try:
            belonging = belonging_fields(event)
        except Exception as error:  # noqa: BLE001  # OpenTelemetry's or a framework's, no concern of the record
            fault("finding the trace of a log record", RedactionError(_raised(error)))
            belonging = {}
        plain = Plain(content=self._content)
        fields = self._redacted(_fields(event, head, belonging, plain, name), head, belonging)
        number = None if of_logging is None else severity.of_number(of_logging.levelno)
        self._emit(number or severity.of_name(level), fields, TOTAL - plain.left, at)
        # Another dictionary: whoever comes next may change it, and the event is made later.
        return {**fields, **_of_formatter(event)}

    def _redacted(
        self, fields: dict[str, Any], head: dict[str, Any], belonging: dict[str, Any]
    ) -> dict[str, Any]:
        if self._redact is None:
            return fields
        try:
            found = dict(self._redact(fields))
            if self._redact is not redact_secrets:
                # What others make may be anything again.
                found = Plain(content=True).value(found)
        except DropEvent:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, what it was to hide must not leave
            fault("redacting a log record", RedactionError(_raised(error)))
            trace = {key: belonging[key] for key in (TRACE, SPAN) if key in belonging}
            return head | {EVENT: WITHHELD} | trace
        return found

    @staticmethod
    def _emit(number: int | None, fields: dict[str, Any], size: int, at: int) -> None:
        sdk = process.active()
        # A record of the thread that sends would be sent by it, and tell of its own sending.
        if sdk is None or sdk.delivery.is_sending_here():
            return
        try:
            draft = Draft(sdk, number, fields)
            sdk.delivery.emit(SCHEMA, draft, RECORD_BYTES + size, at)
        except Exception as error:  # noqa: BLE001  # the caller's work is not to end for its logging
            sdk.fault("emitting a log record", error)


def _fields(
    event: MutableMapping[str, Any],
    head: dict[str, Any],
    belonging: Mapping[str, Any],
    plain: Plain,
    name: Any,
) -> dict[str, Any]:
    fields = dict(head)
    if name is not None:
        fields[LOGGER] = plain.value(name)
    fields[EVENT] = plain.value(event.get(EVENT, ""))
    for key, value in belonging.items():
        fields[key] = plain.value(value)
    fields.update(exception_fields(event.get("exc_info"), plain))
    left_out = 0
    for key, value in event.items():
        if key in (EVENT, "exc_info", LEVEL, TIMESTAMP, *_FORMATTER_KEYS) or key in belonging:
            continue
        if plain.left <= 0:
            left_out += 1
            continue
        text = plain.key(key)
        fields[text] = plain.field(text, value)
    if left_out:
        fields["[truncated]"] = left_out
    return fields


def _of_formatter(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: event[key] for key in _FORMATTER_KEYS if key in event}


def _raised(error: BaseException) -> str:
    # The message of a foreign error may be of what was logged.
    return f"{class_name(type(error))} was raised."


def _iso(micros: int) -> str:
    second, micro = divmod(micros, 1_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)) + f".{micro:06d}Z"
