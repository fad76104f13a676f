"""RAGPulse: requests of a retrieval-augmented question-answering service.

Source: RAGPulse, trace.jsonl (MIT). One JSON object a line: timestamp (seconds of the trace's own
clock, as text), input_length and output_length (tokens), session_id; hash_ids is not read.

The clock steps back once, from 604453 s to 0 s: the file joins two weeks, each counted from its
own start (the milliseconds in the session ids are seven days apart). The times are kept as they
stand, so the second week falls on the first, and the pair there is out of order.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from inferwatch.traces.events import ENVIRONMENT, TraceEvent, TraceOptions
from inferwatch.traces.rows import json_rows
from inferwatch_schemas.instants import micros

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# When the clock read zero: where the session ids of the first rows point to.
START: Final = datetime(2025, 9, 10, 4, 0, 34, tzinfo=UTC)
SERVICE: Final = "ragpulse"
# The trace names neither provider nor model.
PROVIDER: Final = "unknown"


def read(path: Path, options: TraceOptions) -> Iterator[TraceEvent]:
    """Requests of one file, in its order.

    Raises:
        TraceError: The file is not of this format.
    """
    start = micros(options.start or START)
    for row in json_rows(path):
        record = {
            "service_name": options.service or SERVICE,
            "deployment_environment_name": ENVIRONMENT,
            "gen_ai_operation_name": "chat",
            "gen_ai_provider_name": PROVIDER,
            "endpoint": "",
            "gen_ai_usage_input_tokens": row.whole("input_length"),
            "gen_ai_usage_output_tokens": row.whole("output_length"),
            "session_id": row.text("session_id"),
        }
        at = start + round(row.number("timestamp") * 1_000_000)
        yield TraceEvent("request", at, record)
