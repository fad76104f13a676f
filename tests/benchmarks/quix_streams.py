"""The contender Quix Streams: tumbling windows with a grace period, reduced event by event.

Written as its documentation has it: a deserializer, the event's own time as timestamp, a tumbling
window, a reducer, final results to a topic. State and changelog are as they are by default:
RocksDB, a changelog topic, a commit every five seconds, at least once.

Quix keeps windows by the record's key, so the records of a group must have its key. They are
published so: without that, ``group_by`` would send each event through Kafka once more.

Usage: python -m tests.benchmarks.quix_streams BROKER TOPIC OUTPUT SCHEMA FOLDER GRACE SESSION. It
runs until it is killed; GRACE and SESSION are seconds.
"""

import io
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import fastavro
from quixstreams import Application
from quixstreams.models import Deserializer, SerializationContext

from tests.benchmarks.window import MICROS, WINDOW_SECONDS, bin_of

PREFIX_BYTES = 5


class Requests(Deserializer):
    """Values in Confluent's wire format, of one schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__()
        self._schema = fastavro.parse_schema(schema)

    def __call__(self, value: bytes, ctx: SerializationContext) -> Any:  # noqa: ARG002 -- theirs
        """Decode one event."""
        body = io.BytesIO(value)
        body.seek(PREFIX_BYTES)
        return fastavro.schemaless_reader(body, self._schema, None)


def event_millis(value: Any, *_: Any) -> int:
    """Event time of a decoded event, in milliseconds since 1970."""
    return int(value["event_time"].timestamp() * 1000)


def first(event: dict[str, Any]) -> dict[str, Any]:
    """The window that one event opens; its state is JSON, whose keys are text."""
    window = {
        "requests": 0,
        "errors": {},
        "input_tokens": 0,
        "output_tokens": 0,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "cost_usd_micros": 0,
        "priced_requests": 0,
        "durations": 0,
        "duration_micros": 0,
        "duration_bins": {},
        "first_tokens": 0,
        "first_token_micros": 0,
        "first_token_bins": {},
    }
    return counted(window, event)


def counted(window: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """The window with one request more."""
    window["requests"] += 1
    if event["error_type"] is not None:
        _add(window["errors"], event["error_type"])
    window["input_tokens"] += event["gen_ai_usage_input_tokens"] or 0
    window["output_tokens"] += event["gen_ai_usage_output_tokens"] or 0
    window["cached_tokens"] += event["gen_ai_usage_cache_read_input_tokens"] or 0
    window["reasoning_tokens"] += event["gen_ai_usage_reasoning_output_tokens"] or 0
    if event["cost_usd_micros"] is not None:
        window["priced_requests"] += 1
        window["cost_usd_micros"] += event["cost_usd_micros"]
    duration, to_first = event["duration_seconds"], event["time_to_first_token_seconds"]
    if duration is not None:
        window["durations"] += 1
        window["duration_micros"] += round(duration * MICROS)
        _add(window["duration_bins"], str(bin_of(duration)))
    if to_first is not None:
        window["first_tokens"] += 1
        window["first_token_micros"] += round(to_first * MICROS)
        _add(window["first_token_bins"], str(bin_of(to_first)))
    return window


def _add(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1


def main() -> None:
    """Count until killed."""
    broker, topic, output, schema, folder, grace, session = sys.argv[1:]
    app = Application(
        broker_address=broker,
        consumer_group="quix",
        auto_offset_reset="earliest",
        state_dir=folder,
        # It is stopped while its load is published.
        consumer_extra_config={
            "session.timeout.ms": int(session) * 1000,
            "max.poll.interval.ms": int(session) * 1000,
        },
    )
    requests = app.topic(
        topic,
        value_deserializer=Requests(json.loads(Path(schema).read_text())),
        timestamp_extractor=event_millis,
    )
    (
        app.dataframe(requests)
        .tumbling_window(timedelta(seconds=WINDOW_SECONDS), grace_ms=timedelta(seconds=int(grace)))
        .reduce(reducer=counted, initializer=first)
        .final()
        .to_topic(app.topic(output, value_serializer="json"))
    )
    app.run()


if __name__ == "__main__":
    main()
