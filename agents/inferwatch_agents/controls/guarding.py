"""Where a service obeys: a call that a control stops is not made, and is told all the same."""

from __future__ import annotations

import functools
import inspect
import random
from typing import TYPE_CHECKING, Any, TypeVar

from inferwatch_agents import process
from inferwatch_agents.calls import CURRENT
from inferwatch_agents.context import BELONGING
from inferwatch_agents.controls.control import ERROR_TYPES
from inferwatch_agents.errors import CircuitOpenError, ConfigurationError
from inferwatch_schemas.instants import now_micros

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.calls import Call
    from inferwatch_agents.client import Client
    from inferwatch_agents.controls.control import Control

F = TypeVar("F", bound="Callable[..., Any]")

_KINDS = (
    (inspect.iscoroutinefunction, "coroutine function"),
    (inspect.isasyncgenfunction, "asynchronous generator function"),
    (inspect.isgeneratorfunction, "generator function"),
)


def guard() -> None:
    """Go on only where no control stops the current call; for calls without a fallback.

    In a monitored function or a block of ``call`` it is about that call; elsewhere about the
    service and the route of the HTTP request, and a call that is stopped becomes an event there.

    Raises:
        CircuitOpenError: A control stops it.
    """
    running = process.active()
    if running is None or not running.following.controls.calls:
        return
    current = CURRENT.get()
    if current is None:
        request = BELONGING.get().request
        control = _stopping(running, None, "" if request is None else request.endpoint())
    else:
        control = _stopping(running, current.model, current.endpoint)
    if control is None:
        return
    error = CircuitOpenError(_sentence(control), control)
    call = process.call() if current is None else current
    call.error_type = ERROR_TYPES[control.action]
    if current is None:
        call.end(error)
    raise error


def stopped(call: Call) -> bool:
    """Whether a control stops a call that has just begun; then it has failed for that."""
    running = process.active()
    if running is None or not running.following.controls.calls:
        return False
    control = _stopping(running, call.model, call.endpoint)
    if control is None:
        return False
    call.error_type = ERROR_TYPES[control.action]
    return True


def check_fallback(function: Callable[..., Any], fallback: Callable[..., Any]) -> None:
    """Hold a fallback against the function in whose place it is called.

    Raises:
        ConfigurationError: It is of another kind, so that callers could not use what it returns.
    """
    kinds = _kind(function), _kind(fallback)
    if kinds[0] != kinds[1]:
        raise ConfigurationError(
            f"The fallback of {_name(function)} is a {kinds[1]}, and {_name(function)} is a "
            f"{kinds[0]}; make both of one kind."
        )


def _stopping(running: Client, model: str | None, endpoint: str) -> Control | None:
    try:
        return running.following.controls.stopping(
            model,
            endpoint,
            now_micros(),
            random.random(),  # noqa: S311  # nothing secret
        )
    except Exception as error:  # noqa: BLE001  # what cannot be decided stops nobody's work
        running.fault("a control", error)
        return None


def _kind(function: Callable[..., Any]) -> str:
    if not (inspect.isroutine(function) or isinstance(function, functools.partial | type)):
        # An object that can be called is of the kind of its method.
        function = type(function).__call__
    return next((name for is_one, name in _KINDS if is_one(function)), "function")


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))


def _sentence(control: Control) -> str:
    what = ", ".join(
        f"{name} {value}"
        for name, value in (
            ("service", control.service),
            ("model", control.model),
            ("endpoint", control.endpoint),
        )
        if value is not None
    )
    why = control.reason or "no reason given"
    incident = f" (incident {control.incident_id})" if control.incident_id else ""
    return f"{ERROR_TYPES[control.action]} for {what}: {why}{incident}"
