"""Any values to plain ones: bounded texts, numbers, lists and dictionaries, fit for JSON and UTF-8.

A log call is given what its caller happens to have: cycles, gigabytes, bytes, NaN, halves of
surrogate pairs, objects whose ``repr`` raises. All of it becomes something short that says what it
was, and nothing here raises for it.

What is too long is cut before a redaction hook sees it, so that the hook sees all that leaves. A
cut through a secret would hide it from the hook; so a text is cut where a word ends.
"""

from __future__ import annotations

import datetime as dt
import math
import numbers
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import islice
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from inferwatch_agents.logs.content import NAMES, Content

# Characters of one text, and of all of a record with COST for each value: the record stays below
# what its topic takes, 256 KiB, when each character takes six bytes, as control characters in JSON.
TEXT: Final = 8_192
TOTAL: Final = 32_768
COST: Final = 32
KEY: Final = 256
DEPTH: Final = 8
# Words up to this length are cut away whole.
WORD: Final = 2_048
# Larger ones are no JSON numbers to most readers.
MOST: Final = 2**63

_AS_TEXT: Final = (
    dt.date,
    dt.time,
    dt.timedelta,
    Decimal,
    PurePath,
    UUID,
)
_NO_CONTENT: Final = (type(None), bool, int, float)
_LISTS: Final = (list, tuple, set, frozenset, deque)


def cut(text: str, limit: int) -> str:
    """The beginning of a text that is longer than so many characters, and what it was."""
    if len(text) <= limit:
        return text
    kept = text[: max(0, limit)]
    end = max(kept.rfind(space, max(0, len(kept) - WORD)) for space in " \n\t")
    kept = kept[:end] if end >= 0 else kept[: max(0, len(kept) - WORD)]
    return f"{kept} [truncated: {len(text)} characters]"


def cut_start(text: str, limit: int) -> str:
    """Likewise its end, from the beginning of a line on: of a stack trace the end says most."""
    if len(text) <= limit:
        return text
    start = text.find("\n", len(text) - limit)
    kept = "" if start < 0 else text[start:]
    return f"[truncated: {len(text)} characters]{kept}"


def encodable(text: str) -> str:
    """A text that UTF-8 can carry: lone surrogates become their escapes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


class Plain:
    """Makes the values of one record plain; the record's limits are over all of them.

    Attributes:
        left: Characters that may follow, roughly.
    """

    __slots__ = ("_content", "left")

    def __init__(self, *, content: bool) -> None:
        """Start.

        Args:
            content: Whether prompts and completions are shown; else their length is.
        """
        self._content = content
        self.left = TOTAL

    def value(self, value: Any, depth: int = DEPTH) -> Any:
        """A value made plain."""
        self.left -= COST
        kind = type(value)
        if kind is str:
            return self.text(value)
        if value is None or kind is bool or (kind is int and -MOST <= value < MOST):
            return value
        try:
            return self._other(value, depth)
        except Exception as error:  # noqa: BLE001  # a foreign object may raise anything when asked
            return f"[{kind.__name__}: reading it raised {type(error).__name__}]"

    def text(self, text: str, limit: int = TEXT) -> str:
        """A text within the limits."""
        limit = min(limit, self.left)
        if len(text) > limit:
            text = cut(text, limit)
        text = encodable(text)
        self.left -= len(text)
        return text

    def trace(self, text: str) -> str:
        """A stack trace within the limits."""
        text = encodable(cut_start(text, min(2 * TEXT, max(0, self.left))))
        self.left -= len(text)
        return text

    def key(self, key: Any) -> str:
        """A key as text."""
        if type(key) is str and len(key) <= KEY:
            return self.text(key)
        try:
            return self.text(str.__str__(key) if isinstance(key, str) else str(key), KEY)
        except Exception as error:  # noqa: BLE001  # as in value
            return f"[key: reading it raised {type(error).__name__}]"

    def field(self, key: str, value: Any, depth: int = DEPTH) -> Any:
        """A value made plain that stands under a key; content is withheld by the key's name."""
        if key in NAMES and not self._content and type(value) not in _NO_CONTENT:
            self.left -= COST
            return self._content_of(value, depth)
        return self.value(value, depth)

    def _content_of(self, value: Any, depth: int) -> Any:
        content = value if isinstance(value, Content) else Content(value)
        if self._content:
            return self.value(content.value, depth)
        try:
            return self.text(repr(content))
        except Exception as error:  # noqa: BLE001  # as in value
            return f"[withheld: reading it raised {type(error).__name__}]"

    def _other(self, value: Any, depth: int) -> Any:  # noqa: PLR0911  # one case a type
        if isinstance(value, Content):
            return self._content_of(value, depth)
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, numbers.Integral):
            whole = int(value)
            return whole if -MOST <= whole < MOST else f"[integer of {whole.bit_length()} bits]"
        if isinstance(value, numbers.Real):
            number = float(value)
            return number if math.isfinite(number) else str(number)
        if isinstance(value, bytes | bytearray | memoryview):
            return self._bytes(value)
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, _LISTS):
            return self._list(value, len(value), depth)
        return self.text(_told(value))

    def _bytes(self, value: bytes | bytearray | memoryview) -> str:
        size = value.nbytes if isinstance(value, memoryview) else len(value)
        if size > TEXT:
            return f"[{size} bytes]"
        return self.text(bytes(value).decode("utf-8", "backslashreplace"))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        if depth == 0:
            return f"[{len(value)} fields, too deep]"
        found: dict[str, Any] = {}
        for key, item in value.items():
            if self.left <= 0:
                found["[truncated]"] = len(value) - len(found)
                break
            name = self.key(key)
            found[name] = self.field(name, item, depth - 1)
        return found

    def _list(self, values: Iterable[Any], size: int, depth: int) -> Any:
        if depth == 0:
            return f"[{size} items, too deep]"
        found: list[Any] = []
        for item in islice(values, size):
            if self.left <= 0:
                found.append(f"[truncated: {size - len(found)} more]")
                break
            found.append(self.value(item, depth - 1))
        return found


def _told(value: Any) -> str:
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return str.__str__(repr(value))
