"""The contender bytewax: tumbling windows of event time, folded event by event, on one worker.

Written as its documentation has it, each choice in its favour where there is one: windows are
folded in the order of arrival (``ordered=False``), no timer is set for windows that lie in the
past, and recovery is off, as it is by default: nothing survives a crash.

Usage: python -m tests.benchmarks.bytewax_flow BROKER TOPIC OUTPUT SCHEMA GRACE. It runs until it is
killed; GRACE is in seconds.
"""

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import fastavro
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower, fold_window
from bytewax.run import cli_main

from tests.benchmarks.window import WINDOW_SECONDS, Window

PREFIX_BYTES = 5
ALIGNED = datetime(2025, 1, 1, tzinfo=UTC)


def count(window: Window, event: dict[str, Any]) -> Window:
    """The window with one request more."""
    window.add(event)
    return window


def merge(one: Window, other: Window) -> Window:
    """Never needed: tumbling windows do not grow together."""
    raise NotImplementedError


def group_of(event: dict[str, Any]) -> str:
    """The dimensions of an event, as a key."""
    return (
        f"{event['service_name']}|{event['gen_ai_request_model']}|{event['endpoint']}|"
        f"{event['deployment_environment_name']}|{event['gen_ai_provider_name']}"
    )


def message(row: tuple[str, tuple[int, Window]]) -> KafkaSinkMessage[bytes, bytes]:
    """A window that is closed, for its topic."""
    key, (number, window) = row
    start = int(ALIGNED.timestamp()) + number * WINDOW_SECONDS
    return KafkaSinkMessage(
        key.encode(), json.dumps({"start": start * 1000, "value": vars(window)}).encode()
    )


def create_flow(broker: str, topic: str, output: str, schema: Any, grace: timedelta) -> Dataflow:
    """The dataflow from one topic to the other."""
    parsed = fastavro.parse_schema(schema)

    def decode(record: Any) -> Any:
        body = io.BytesIO(record.value)
        body.seek(PREFIX_BYTES)
        return fastavro.schemaless_reader(body, parsed, None)

    flow = Dataflow("requests")
    records = op.input("records", flow, KafkaSource([broker], [topic]))
    events = op.map("decode", records, decode)
    keyed = op.key_on("group", events, group_of)
    clock = EventClock(
        ts_getter=lambda event: event["event_time"],
        wait_for_system_duration=grace,
        to_system_utc=lambda _: None,
    )
    windower = TumblingWindower(length=timedelta(seconds=WINDOW_SECONDS), align_to=ALIGNED)
    windows = fold_window("count", keyed, clock, windower, Window, count, merge, ordered=False)
    op.output("rows", op.map("row", windows.down, message), KafkaSink([broker], output))
    return flow


def main() -> None:
    """Count until killed."""
    broker, topic, output, schema, grace = sys.argv[1:]
    flow = create_flow(
        broker, topic, output, json.loads(Path(schema).read_text()), timedelta(seconds=int(grace))
    )
    cli_main(flow)


if __name__ == "__main__":
    main()
