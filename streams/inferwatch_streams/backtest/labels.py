"""Labelled incidents in a CSV file.

Columns ``start`` and ``end`` are times in ISO 8601, in UTC where they name no zone. ``name`` is
optional. Any other column is a label, or ``rule`` or ``severity``: where a row has text in it, only
episodes of that value match; ``~`` before it makes it a regular expression.
"""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from inferwatch_schemas.instants import micros, moment_text
from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.backtest.scoring import KnownIncident
from inferwatch_streams.errors import ConfigurationError, MatcherError

if TYPE_CHECKING:
    from pathlib import Path

_OWN: Final = ("start", "end", "name")
_PATTERN: Final = "~"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_incidents(path: Path) -> list[KnownIncident]:
    """The incidents in a file, by their start.

    Raises:
        ConfigurationError: It cannot be read, or a line is wrong; names file and line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            missing = [name for name in _OWN[:2] if name not in (reader.fieldnames or ())]
            if missing:
                raise ConfigurationError(f"{path}:1: has no column {missing[0]}.")
            for name in reader.fieldnames or ():
                if not _NAME.fullmatch(name):
                    raise ConfigurationError(f"{path}:1: {name!r} is no name of a label.")
            found = [_incident(f"{path}:{reader.line_num}", row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    names = [each.name for each in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"{path}: has two incidents {twice!r}; give them names.")
    return sorted(found, key=lambda each: each.start)


def moment_of(text: str) -> int:
    """Microseconds since 1970 of a time in ISO 8601; UTC where it names no zone.

    Raises:
        ValueError: It is none.
    """
    time = datetime.fromisoformat(text.strip())
    return micros(time if time.tzinfo else time.replace(tzinfo=UTC))


def _incident(place: str, row: dict[str | None, str | list[str] | None]) -> KnownIncident:
    if None in row or None in row.values():
        raise ConfigurationError(f"{place}: has not as many fields as the first line.")
    texts = {str(name): str(value).strip() for name, value in row.items()}
    times = {}
    for name in _OWN[:2]:
        try:
            times[name] = moment_of(texts[name])
        except ValueError as error:
            raise ConfigurationError(
                f"{place}: {name}: {texts[name]!r} is no time; write as in 2026-11-24T22:28:04Z."
            ) from error
    if times["end"] < times["start"]:
        raise ConfigurationError(f"{place}: end: is before start.")
    matchers = []
    for name, text in texts.items():
        if name in _OWN or not text:
            continue
        pattern = text.startswith(_PATTERN)
        try:
            matchers.append(Matcher(name, "=~" if pattern else "=", text.removeprefix(_PATTERN)))
        except MatcherError as error:
            raise ConfigurationError(f"{place}: {name}: {error}") from error
    name = texts.get("name") or moment_text(times["start"])
    return KnownIncident(
        name=name, start=times["start"], end=times["end"], matchers=tuple(matchers)
    )
