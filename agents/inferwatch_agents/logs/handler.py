"""Records of ``logging``, which libraries use, on the same way as structlog's."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from structlog import DropEvent
from structlog.stdlib import ExtraAdder

from inferwatch_agents.logs.faults import fault
from inferwatch_agents.logs.record import EVENT
from inferwatch_agents.logs.sending import Send

if TYPE_CHECKING:
    from collections.abc import Callable

# What formatters leave on a record, and uvicorn's message for terminals.
_NO_FIELDS: Final = ("message", "asctime", "color_message")
_extras: Final = ExtraAdder()


class Handler(logging.Handler):
    """A handler of ``logging`` that sends records as ``log`` events, and may write lines too.

    It takes no lock, because hooks and the ``repr`` of what is logged are code of others.
    """

    def __init__(
        self, send: Send | None = None, write: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        """Make it.

        Args:
            send: Makes, redacts and sends; ``Send()`` when None.
            write: Given each record as it was sent; nobody when None.
        """
        super().__init__()
        self._send = send or Send()
        self._write = write

    def handle(self, record: logging.LogRecord) -> bool | logging.LogRecord:  # type: ignore[override]  # before Python 3.12 it returns a bool
        """Take a record that passes the filters."""
        passed = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; never raises."""
        try:
            sent = self._send(None, record.levelname.lower(), event_of(record))
            sent.pop("_record", None)
            if self._write is not None:
                self._write(sent)
        except DropEvent:
            return
        except Exception as error:  # noqa: BLE001  # the caller's work is not to end for its logging
            fault("logging", TypeError(f"A record of logging raised {type(error).__name__}."))


def event_of(record: logging.LogRecord) -> dict[str, Any]:
    """A record's fields as structlog has them, with what ``extra`` gave."""
    event: dict[str, Any] = {"_record": record}
    if isinstance(record.msg, dict) and hasattr(record, "_name"):
        # structlog's own, wrapped by its ``wrap_for_formatter``.
        event.update(record.msg)
    else:
        _extras(None, "", event)  # type: ignore[arg-type]  # it does not look at the logger
        for name in _NO_FIELDS:
            event.pop(name, None)
        event[EVENT] = _message(record)
    if record.exc_info:
        event["exc_info"] = record.exc_info
    if record.stack_info:
        event["stack"] = record.stack_info
    return event


def _message(record: logging.LogRecord) -> Any:
    if not record.args:
        return record.msg
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # a format that does not fit its arguments: both are told
        return [record.msg, record.args]
