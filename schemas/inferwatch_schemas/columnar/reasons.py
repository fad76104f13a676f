"""Why a record is no event: the words of ``dead_letter.avsc``, each with its sentence."""

from __future__ import annotations

from typing import Final

from inferwatch_schemas.columnar import framing, kernel

TOMBSTONE: Final = "tombstone"
FRAMING: Final = {
    framing.TOMBSTONE: (TOMBSTONE, "The record has no value."),
    framing.EMPTY: ("empty", "The value is empty."),
    framing.SHORT: ("truncated", "The value ends within the five bytes of Confluent's prefix."),
    framing.CORRUPT: (
        "corrupt_batch",
        "A record batch does not hold what its header says; the value is the whole batch.",
    ),
    framing.WRONG_MAGIC: (
        "wrong_magic",
        "The first byte is not 0: the value is not in Confluent's wire format.",
    ),
}
FAULTS: Final = {
    kernel.TRUNCATED: ("truncated", "the value ends within it"),
    kernel.LONG_VARINT: ("malformed", "a number of more than 64 bits"),
    kernel.BAD_BRANCH: ("malformed", "a branch that its union does not have"),
    kernel.NEGATIVE_LENGTH: ("malformed", "a negative length"),
    kernel.BAD_UTF8: ("malformed", "text that is not UTF-8"),
    kernel.BAD_SYMBOL: ("malformed", "a symbol that its enum does not have"),
    kernel.BAD_BOOLEAN: ("malformed", "a boolean other than 0 and 1"),
    kernel.INT_OVERFLOW: ("malformed", "an int of more than 32 bits"),
    kernel.WRONG_SIZE: ("malformed", "an array block of another size than it says"),
}


def oversized(size: int, topic: str, limit: int) -> tuple[str, str]:
    """Reason and sentence of a value of more bytes than its topic takes."""
    return "oversized", f"The value has {size} bytes; {topic} takes {limit}."


def of_fault(fault: int, field: str) -> tuple[str, str]:
    """Reason and sentence of a code that the compiled reader gave for a field."""
    if fault == kernel.TRAILING_BYTES:
        return "trailing_bytes", "Bytes follow the last field."
    if fault == kernel.OUT_OF_RANGE:
        return "out_of_range", f"{field} is outside the limits of its schema."
    reason, what = FAULTS[fault]
    return reason, f"{field}: {what}."
