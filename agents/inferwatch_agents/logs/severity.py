"""Levels to OpenTelemetry's SeverityNumber (Logs Data Model, "Severity Fields")."""

from __future__ import annotations

from typing import Final

MOST: Final = 24
_BY_NAME: Final = {
    "trace": 1,
    "debug": 5,
    "info": 9,
    "warn": 13,
    "warning": 13,
    "error": 17,
    "exception": 17,
    "critical": 21,
    "fatal": 21,
}


def of_name(level: str) -> int | None:
    """The number of a level's name, in any case; None where it is none of the known ones."""
    return _BY_NAME.get(level) or _BY_NAME.get(level.lower())


def of_number(level: int) -> int | None:
    """The number of a level of ``logging``; None for NOTSET and below.

    Each of the ten levels from DEBUG on, and so on, is one severity with four steps; what is below
    DEBUG is TRACE.
    """
    if level <= 0:
        return None
    tens, ones = divmod(level, 10)
    if tens == 0:
        return 1
    return min(MOST, tens * 4 + 1 + min(ones, 3))
