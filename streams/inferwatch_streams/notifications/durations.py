"""Lengths of time as the file of configuration spells them: ``500ms``, ``30s``, ``5m``, ``4h``."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_WRITTEN: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)", re.ASCII)
#: JSON Schema of one.
SCHEMA: Final = {"type": "string", "pattern": "^[0-9]{1,9}(ms|s|m|h|d)$"}


def seconds(text: str) -> float:
    """Seconds of a length of time that fulfils the schema."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError(f"{text!r} is no length of time; write as in 30s, 5m or 4h.")
    return int(written[1]) * _UNITS[written[2]]
