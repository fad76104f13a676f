"""The oracle of the columnar reader: Avro read strictly, one record at a time, in plain Python.

Written from the specification (1.12, "Binary encoding"), because fastavro takes more than that
allows: a boolean of 2, the last symbol of an enum for -1, a negative length as all that is left,
numbers of more than 64 bits, an array block of another size than it says. What both take they read
alike, and the tests hold the values against fastavro's.
"""

from __future__ import annotations

import math
import struct
from typing import Any


class Unreadable(Exception):  # noqa: N818  # a verdict, no error
    """The bytes are not a record of the schema; the argument is the dead letter's reason."""


def read(schema: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Read one record, with the limits of its fields; raises Unreadable."""
    decoder = _Decoder(body)
    record = {}
    for field in schema["fields"]:
        value = decoder.read(field["type"])
        if isinstance(value, int | float) and not field.get(
            "minimum", -math.inf
        ) <= value <= field.get("maximum", math.inf):
            raise Unreadable("out_of_range")
        record[field["name"]] = value
    if decoder.at != len(body):
        raise Unreadable("trailing_bytes")
    return record


class _Decoder:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self.at = 0

    def _take(self, size: int) -> bytes:
        if size < 0:
            raise Unreadable("malformed")
        if size > len(self._body) - self.at:
            raise Unreadable("truncated")
        self.at += size
        return self._body[self.at - size : self.at]

    def _long(self) -> int:
        result = 0
        for shift in range(0, 70, 7):
            (byte,) = self._take(1)
            if shift == 63 and byte > 1:
                break
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (result >> 1) ^ -(result & 1)
        raise Unreadable("malformed")

    def _bounded(self, below: int, first: int = 0) -> int:
        value = self._long()
        if not first <= value < below:
            raise Unreadable("malformed")
        return value

    def _finite(self, form: str) -> float:
        (number,) = struct.unpack(form, self._take(struct.calcsize(form)))
        if not math.isfinite(number):
            raise Unreadable("out_of_range")
        return float(number)

    def _text(self) -> str:
        try:
            return self._take(self._long()).decode()
        except UnicodeDecodeError:
            raise Unreadable("malformed") from None

    def _boolean(self) -> bool:
        (byte,) = self._take(1)
        if byte > 1:
            raise Unreadable("malformed")
        return bool(byte)

    def _array(self, items: Any) -> list[Any]:
        found: list[Any] = []
        while count := self._long():
            stop = None
            if count < 0:
                size = self._long()
                if size < 0:
                    raise Unreadable("malformed")
                stop = self.at + size
                if stop > len(self._body):
                    raise Unreadable("truncated")
            if abs(count) > len(self._body) - self.at:
                raise Unreadable("truncated")
            found.extend(self.read(items) for _ in range(abs(count)))
            if stop is not None and self.at != stop:
                raise Unreadable("malformed")
        return found

    def read(self, declared: Any) -> Any:  # noqa: C901, PLR0911, PLR0912  # one case a type
        """Read one value of a type."""
        if isinstance(declared, list):
            return self.read(declared[self._bounded(len(declared))])
        match declared["type"] if isinstance(declared, dict) else declared:
            case "null":
                return None
            case "boolean":
                return self._boolean()
            case "int":
                return self._bounded(2**31, -(2**31))
            case "long":
                return self._long()
            case "float":
                return self._finite("<f")
            case "double":
                return self._finite("<d")
            case "string":
                return self._text()
            case "bytes":
                return self._take(self._long())
            case "fixed":
                return self._take(declared["size"])
            case "enum":
                return declared["symbols"][self._bounded(len(declared["symbols"]))]
            case "array":
                return self._array(declared["items"])
            case "record":
                return {part["name"]: self.read(part["type"]) for part in declared["fields"]}
            case other:
                raise NotImplementedError(other)
