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
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?",
    re.ASCII,
)
SAMPLED: Final = 1
# Sampled and, of level 2, random; all others are to be sent as zero (section 3.2.2.5).
_KNOWN_FLAGS: Final = 3
# So much has to be passed on (section 3.3.1.5), and nothing but what a header may have in it.
_TRACESTATE: Final = re.compile(r"[ -~]{1,512}")


class Trace(NamedTuple):
    """A place in a trace.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        flags: W3C trace flags; 1 is sampled.
        state: W3C tracestate; empty when there is none.
    """

    trace_id: str
    span_id: str
    flags: int = SAMPLED
    state: str = ""

    def traceparent(self) -> str:
        """The header that says it."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def current_trace() -> Trace | None:
    """OpenTelemetry's current span; None without one, or without OpenTelemetry."""
    module = sys.modules.get(OPENTELEMETRY)
    if module is None:
        return None
    context = module.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return Trace(
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        int(context.trace_flags),
        context.trace_state.to_header() if context.trace_state else "",
    )


def parse_traceparent(header: str, state: str = "") -> Trace | None:
    """The caller's span in its headers.

    Args:
        header: Of traceparent.
        state: Of tracestate; what cannot be one is left out.

    Returns:
        None where the header is none.
    """
    found = _TRACEPARENT.fullmatch(header.strip())
    if found is None or (found[1] == "00" and found[5]):
        return None
    kept = state.strip()
    return Trace(
        found[2],
        found[3],
        int(found[4], 16) & _KNOWN_FLAGS,
        kept if _TRACESTATE.fullmatch(kept) else "",
    )
