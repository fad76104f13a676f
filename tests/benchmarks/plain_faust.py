"""The other contender: requests counted by a plain Faust agent, one event at a time.

Written as Faust's documentation would have it, except that its windows are kept in a dictionary,
which is faster and less safe than a Faust table: nothing survives a crash.

Usage: python -m tests.benchmarks.plain_faust BROKER TOPIC GROUP RESULT WARM_UP EVENTS. It says when
it has counted WARM_UP events, and then EVENTS more, and writes what they came to into RESULT.
"""

# A program that tells its parent where it is.
# ruff: noqa: T201

import io
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import fastavro
import faust

from inferwatch_schemas import releases
from tests.benchmarks.window import WINDOW_SECONDS, Window

PREFIX_BYTES = 5


def create_app(  # noqa: PLR0913, PLR0917 -- as on the command line
    broker: str, topic_name: str, group: str, result: Path, warm_up: int, events: int
) -> faust.App:
    """The app, not started."""
    app = faust.App(
        group,
        broker=f"kafka://{broker}",
        consumer_auto_offset_reset="earliest",
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        web_enabled=False,
        datadir=tempfile.mkdtemp(prefix="plain-faust-"),
    )
    schema = fastavro.parse_schema(releases.latest("request").schema)
    topic = app.topic(topic_name, key_serializer="raw", value_serializer="raw")
    windows: dict[tuple[Any, ...], Window] = defaultdict(Window)

    @app.agent(topic, name="requests")
    async def count(values: Any) -> None:
        counted = 0
        async for value in values:
            body = io.BytesIO(value)
            body.seek(PREFIX_BYTES)
            event: Any = fastavro.schemaless_reader(body, schema, None)
            # The decoder gives a datetime, as it does to any program that uses it.
            second = int(event["event_time"].timestamp())
            key = (
                second // WINDOW_SECONDS,
                event["service_name"],
                event["deployment_environment_name"],
                event["gen_ai_provider_name"],
                event["gen_ai_request_model"],
                event["endpoint"],
            )
            windows[key].add(event)
            counted += 1
            if counted == warm_up:
                windows.clear()
                print("warm", flush=True)
            elif counted == warm_up + events:
                print("done", flush=True)
                rows = [[list(group), vars(window)] for group, window in windows.items()]
                result.write_text(json.dumps(rows))  # noqa: ASYNC240 -- nothing else is to run
                print("written", flush=True)

    return app


if __name__ == "__main__":
    broker, topic_name, group, result, warm_up, events = sys.argv[1:]
    faust.Worker(
        create_app(broker, topic_name, group, Path(result), int(warm_up), int(events)),
        loglevel="WARNING",
        quiet=True,
        redirect_stdouts=False,
    ).execute_from_commandline()
