"""Lengths of time: as files spell them, ``30s``, ``5m``, ``3d``, and in microseconds, as code."""

from __future__ import annotations

import re
from typing import Final

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

#: As the JSON Schema has it. In Python ``$`` is also before a last line end.
PATTERN: Final = r"^[0-9]{1,9}(ms|s|m|h|d)(?!\n)$"
#: JSON Schema of one.
SCHEMA: Final = {"type": "string", "pattern": PATTERN}
_WRITTEN: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)", re.ASCII)
_UNITS: Final = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": SECOND // 1000}


def duration(text: str) -> int:
    """Microseconds of a length of time.

    Raises:
        ValueError: It is none.
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError(f"{text!r} is no length of time; write as in 30s, 5m or 3d.")
    return int(written[1]) * _UNITS[written[2]]


def duration_text(length: int) -> str:
    """A length of time in the largest unit that tells it exactly, to the millisecond: ``90s``."""
    for unit, size in _UNITS.items():
        if length and length % size == 0:
            return f"{length // size}{unit}"
    return "0s" if length == 0 else f"{round(length / 1000)}ms"
