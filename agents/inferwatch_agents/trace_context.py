"""The trace that a call belongs to: OpenTelemetry's current span, or a W3C traceparent header.

OpenTelemetry is used where the service has imported it, and never imported from here.
"""

from __future__ import annotations

import re
import sys
from typing import Final, NamedTuple

OPENTELEMETRY: Final = "opentelemetry.trace"
# W3C Trace Context, section 3.2: version 00 has exactly these four, later ones may append.
_TRACEPARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?",
    re.ASCII,
)


class Trace(NamedTuple):
    """A place in a trace.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
    """

    trace_id: str
    span_id: str


def current_trace() -> Trace | None:
    """OpenTelemetry's current span; None without one, or without OpenTelemetry."""
    module = sys.modules.get(OPENTELEMETRY)
    if module is None:
        return None
    context = module.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return Trace(f"{context.trace_id:032x}", f"{context.span_id:016x}")


def parse_traceparent(header: str) -> Trace | None:
    """The caller's span in a traceparent header; None where the header is none."""
    found = _TRACEPARENT.fullmatch(header.strip())
    if found is None or (found[1] == "00" and found[4]):
        return None
    return Trace(found[2], found[3])
