"""Attribute values as text, bounded, with what says how much was left out.

The text is that of OpenTelemetry's mapping to formats other than its own ("Attribute" and
"AnyValue" in specification/common): a string is itself, all else is JSON, with NaN, Infinity and
bytes in base64 as strings. Of a value that is too long the end is left out, and its last characters
say how long it was. What finds no room is counted, under the names that the same mapping gives to
what OpenTelemetry's own limits left out (``otel.dropped_attributes_count`` and the like).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

DROPPED_ATTRIBUTES: Final = "otel.dropped_attributes_count"
# Bytes of UTF-8 of one value; a long stack trace is within.
VALUE_BYTES: Final = 16 * 1024
# Of a name, which is no place for content.
NAME_BYTES: Final = 1024
# What Avro needs for one item besides its texts, at most.
ITEM_BYTES: Final = 24


class Room:
    """How many bytes of texts a record may still take."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, *texts: str) -> bool:
        """Take the room of an item with these texts; False where it has too little."""
        size = ITEM_BYTES + sum(len(text.encode()) for text in texts)
        if size > self._left:
            return False
        self._left -= size
        return True


def cut(text: str, most: int = VALUE_BYTES) -> str:
    """A text of so many bytes of UTF-8 at most, and a few more that say where it was cut.

    A lone surrogate, which UTF-8 has no bytes for, becomes a question mark.
    """
    # A character has one byte at least.
    written = text[: most + 1].encode(errors="replace")
    if len(written) <= most:
        return written.decode()
    return f"{written[:most].decode(errors='ignore')}... (cut from {len(text)} characters)"


def value_text(value: Any) -> str:
    """An attribute's value as text.

    Raises:
        ValueError: It has no text, as an integer of thousands of digits.
        TypeError: Likewise.
    """
    plain = _plain(value)
    return plain if isinstance(plain, str) else cut(_json(plain))


def pairs_in(attributes: Mapping[str, Any] | None, room: Room) -> tuple[list[dict[str, str]], int]:
    """Attributes as pairs of texts, in their order, and how many were left out."""
    kept, left_out = [], 0
    for name, value in (attributes or {}).items():
        try:
            key, text = cut(name, NAME_BYTES), value_text(value)
        except (TypeError, ValueError, RecursionError):
            left_out += 1
            continue
        if room.take(key, text):
            kept.append({"key": key, "value": text})
        else:
            left_out += 1
    return kept, left_out


def object_in(attributes: Mapping[str, Any] | None, room: Room, dropped: int = 0) -> str:
    """Attributes as a JSON object that has their types; empty when there are none.

    Args:
        attributes: Of an event or a link.
        room: Of the record.
        dropped: How many OpenTelemetry left out.
    """
    kept: dict[str, Any] = {}
    for name, value in (attributes or {}).items():
        try:
            key, plain = cut(name, NAME_BYTES), _plain(value)
            text = _json(plain)
        except (TypeError, ValueError, RecursionError):
            dropped += 1
            continue
        if not isinstance(plain, str) and (bounded := cut(text)) != text:
            plain, text = bounded, _json(bounded)
        # Escaping may have made a text longer.
        if room.take(_json(key), text):
            kept[key] = plain
        else:
            dropped += 1
    if dropped:
        kept[DROPPED_ATTRIBUTES] = dropped
    return _json(kept) if kept else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """A value of what JSON has, with its strings bounded.

    Raises:
        TypeError: It is of no type that OpenTelemetry allows.
    """
    match value:
        case None | bool() | int():
            return value
        case str():
            return cut(value)
        case float():
            return value if math.isfinite(value) else _not_finite(value)
        case bytes():
            return cut(base64.b64encode(value).decode())
        case Mapping():
            return {cut(str(key), NAME_BYTES): _plain(item) for key, item in value.items()}
        case Sequence():
            return [_plain(item) for item in value]
        case _:
            raise TypeError(f"{type(value).__name__} is no type of an attribute")


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
