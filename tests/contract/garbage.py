"""Values of every kind that are no event, and what must be said of each."""

import json
import struct
from dataclasses import dataclass

from load import SCHEMA_IDS, Event, encode
from random_events import make_events

GOOD = [event for event in make_events(2, 400) if event.schema == "request"]
EXPOSURE = next(encode(event) for event in make_events(3, 20) if event.schema == "exposure")
REQUEST_ID = struct.pack(">bI", 0, SCHEMA_IDS["request"])


@dataclass(frozen=True)
class Bad:
    """A value that is no event.

    Attributes:
        value: The record's value.
        reason: What must be said of it.
        schema_id: The schema id it carries, if any.
    """

    value: bytes | None
    reason: str
    schema_id: int | None


def large(event: Event) -> bytes:
    """The event, valid but for its size of more than 256 KiB."""
    return encode(Event(event.schema, {**event.fields, "user_id": "x" * 300_000}))


# As values of the topic of requests.
GARBAGE = {
    "truncated": Bad(encode(GOOD[0])[:-4], "truncated", 1),
    "cut within its prefix": Bad(REQUEST_ID[:3], "truncated", None),
    "oversized": Bad(large(GOOD[1]), "oversized", None),
    "unknown schema id": Bad(
        struct.pack(">bI", 0, 4_000_000) + encode(GOOD[2])[5:], "unknown_schema", 4_000_000
    ),
    "another schema": Bad(EXPOSURE, "wrong_schema", SCHEMA_IDS["exposure"]),
    "another schema's bytes": Bad(REQUEST_ID + EXPOSURE[5:], "malformed", 1),
    "an extra byte": Bad(encode(GOOD[3]) + b"\x00", "trailing_bytes", 1),
    "not Confluent's": Bad(b"\x01" + encode(GOOD[4])[1:], "wrong_magic", None),
    "JSON": Bad(json.dumps({"service": "chat"}).encode(), "wrong_magic", None),
    "out of range": Bad(
        encode(Event("request", {**GOOD[5].fields, "sequence": -1})), "out_of_range", 1
    ),
    "empty": Bad(b"", "empty", None),
    "tombstone": Bad(None, "tombstone", None),
}
