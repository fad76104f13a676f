"""What the SDK costs a service: time of the calling thread for a call, and of the whole process.

    python -m tests.benchmarks.sdk_overhead [--calls 2000] [--runs 7] [--traces kafka] [--json FILE]

Each case is measured as the difference to the same code without the SDK, in thread CPU time
(``time.thread_time``), which other threads and programs do not count into. Told are the median and
the worst of the runs. Cases run with the embedded broker, and again with no broker at all, so that
the queue is full and every event is dropped.

The process's CPU time for a call has the background thread in it: metrics, encoding, Kafka's
client. Single calls are timed on the wall clock too, apart from each other as in a service. With
``--traces`` each call is a span as well, most of whose cost is OpenTelemetry's; no limit is held
against that.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import asyncio
import functools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

import inferwatch_agents
from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch_agents import DeliverySettings, logs, monitor
from inferwatch_agents.asgi import Middleware
from inferwatch_agents.context import identify
from inferwatch_agents.logs.output import LineLogger, Output
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import TOPICS
from tests.benchmarks.claims import Claim, exit_status
from tests.benchmarks.report import machine

LIMIT_MICROS = 20.0
# Listening on the lowest port needs root, and tcpmux is served nowhere.
NOBODY = "127.0.0.1:1"
CHUNKS = 50
RATE = 200
TIMED_CALLS = 1000
SHARES = (50, 90, 99)
FLUSH_SECONDS = 30.0
# With no broker, time for the background thread to take and drop what waits.
AWAY_SECONDS = 0.2
MICROS = 1e6
ANSWER = {
    "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4.1-2025-04-14",
    "choices": [{"index": 0, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920},
        "completion_tokens_details": {"reasoning_tokens": 128},
    },
}  # fmt: skip
CHUNK = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "x"}}]}


def answer() -> dict[str, Any]:
    """A model that takes no time."""
    return ANSWER


async def answer_later() -> dict[str, Any]:
    """As ``answer``."""
    return ANSWER


def stream() -> Iterator[dict[str, Any]]:
    """A model's answer in chunks."""
    for _ in range(CHUNKS):
        yield CHUNK


async def stream_later() -> AsyncIterator[dict[str, Any]]:
    """As ``stream``."""
    for _ in range(CHUNKS):
        yield CHUNK


async def respond(_scope: Any, _receive: Any, send: Any) -> None:
    """An application that answers at once."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


async def _nothing(*_: Any) -> dict[str, Any]:
    return {"type": "http.request"}


SCOPE = {"type": "http", "method": "POST", "path": "/v1/chat", "headers": [], "root_path": ""}


@dataclass(frozen=True)
class Case:
    """One way to monitor, beside the same work without.

    Attributes:
        name: For people.
        work: Does it so many times.
        without: The same, unmonitored.
    """

    name: str
    work: Callable[[int], Any]
    without: Callable[[int], Any]


def times(function: Callable[[], Any]) -> Callable[[int], None]:
    """A function, so many times."""

    def run(count: int) -> None:
        for _ in range(count):
            function()

    return run


def awaited(function: Callable[[], Any]) -> Callable[[int], None]:
    """A coroutine function, so many times in one event loop."""

    def run(count: int) -> None:
        async def all_of_them() -> None:
            for _ in range(count):
                await function()

        asyncio.run(all_of_them())

    return run


def consumed(function: Callable[[], Any]) -> Callable[[int], None]:
    """A generator, read to its end so many times."""
    return times(lambda: [None for _ in function()])


def consumed_later(function: Callable[[], Any]) -> Callable[[int], None]:
    """An asynchronous generator, read to its end so many times."""

    async def read() -> None:
        async for _ in function():
            pass

    return awaited(read)


def block() -> None:
    """A call in a block that says what it knows itself."""
    with inferwatch_agents.call(model="gpt-4.1", provider="openai", endpoint="/v1/chat") as call:
        call.first_token()
        call.input_tokens, call.output_tokens = 2006, 300


def loggers() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A log call that is sent, and the same rendered by structlog's own processors alone."""
    output = Output(Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # open to the end of the process
    own = (structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"))
    made = []
    for processors in ((logs.Send(),), own):
        logger = structlog.wrap_logger(
            LineLogger(output, "bench"),
            processors=[*processors, structlog.processors.JSONRenderer()],
            wrapper_class=structlog.make_filtering_bound_logger("info"),
        ).bind()
        fields = {"model": "gpt-4.1", "input_tokens": 2006, "output_tokens": 300, "seconds": 1.25}
        made.append(functools.partial(logger.info, "the model has answered", **fields))
    return made[0], made[1]


def cases() -> list[Case]:
    """Every way that is measured."""
    decorate = monitor(model="gpt-4.1", provider="openai", endpoint="/v1/chat")
    application = Middleware(respond)
    monitored, monitored_later = decorate(answer), decorate(answer_later)
    sent, rendered = loggers()

    def identified() -> None:
        with identify(user="u-12345", session="s-67890"):
            monitored()

    return [
        Case("function, usage read", times(monitored), times(answer)),
        Case("coroutine, usage read", awaited(monitored_later), awaited(answer_later)),
        Case("function, with user and session", times(identified), times(answer)),
        Case("block", times(block), times(lambda: None)),
        Case(f"stream of {CHUNKS} chunks", consumed(decorate(stream)), consumed(stream)),
        Case(
            f"async stream of {CHUNKS} chunks",
            consumed_later(decorate(stream_later)),
            consumed_later(stream_later),
        ),
        Case(
            "ASGI request",
            awaited(lambda: application(dict(SCOPE), _nothing, _nothing)),
            awaited(lambda: respond(dict(SCOPE), _nothing, _nothing)),
        ),
        Case("log record, beyond its JSON", times(sent), times(rendered)),
    ]


@dataclass(frozen=True)
class Cost:
    """Microseconds a call beyond the work itself.

    Attributes:
        median: Of the calling thread, median of the runs.
        worst: Likewise, the worst run.
        process: Of the whole process, median.
    """

    median: float
    worst: float
    process: float


def measure(case: Case, calls: int, runs: int, flush_seconds: float) -> Cost:
    """Run a case alternately with and without, and take the difference.

    Args:
        case: What is measured.
        calls: Of a run.
        runs: How many.
        flush_seconds: How long the background thread may take after each run.
    """
    thread, process = [], []
    for _ in range(runs):
        before = time.thread_time()
        case.without(calls)
        alone = time.thread_time() - before
        before, before_process = time.thread_time(), time.process_time()
        case.work(calls)
        thread.append((time.thread_time() - before - alone) / calls * MICROS)
        inferwatch_agents.flush(flush_seconds)
        process.append((time.process_time() - before_process - alone) / calls * MICROS)
    return Cost(statistics.median(thread), max(thread), statistics.median(process))


def timed_calls() -> dict[str, dict[str, float]]:
    """Wall time of single calls at a steady rate, in microseconds.

    After a pause the processor's caches have other things in them, and all code is several times
    slower: ``json.dumps`` of the answer shows how much.
    """
    monitored = monitor(model="gpt-4.1", provider="openai", endpoint="/v1/chat")(answer)
    functions = {
        "monitored": monitored,
        "alone": answer,
        "json.dumps of the answer": lambda: json.dumps(ANSWER),
    }
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(TIMED_CALLS):
        for name, function in functions.items():
            time.sleep(1 / RATE)
            before = time.perf_counter()
            function()
            found[name].append((time.perf_counter() - before) * MICROS)
    return {
        name: {f"p{share:g}": sorted(taken)[int(share / 100 * len(taken))] for share in SHARES}
        for name, taken in found.items()
    }


def measured(
    servers: str, asked: argparse.Namespace, delivery: DeliverySettings, flush_seconds: float
) -> dict[str, Cost]:
    """Every case with one broker, or none; arguments as those of ``measure`` and ``init``."""
    inferwatch_agents.init(
        "bench", environment="bench", kafka=servers, delivery=delivery, traces=asked.traces
    )
    found = {}
    try:
        for case in cases():
            found[case.name] = cost = measure(case, asked.calls, asked.runs, flush_seconds)
            print(
                f"{case.name:<34}{cost.median:8.2f}{cost.worst:9.2f}{cost.process:10.1f}",
                flush=True,
            )
    finally:
        inferwatch_agents.shutdown()
    return found


def main() -> None:
    """Measure every case with a broker and without, and hold the calls against the limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000, help="of a run")
    parser.add_argument("--runs", type=int, default=7, help="of a case")
    parser.add_argument("--traces", help="as init takes it; without it there are no spans")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    asked = parser.parse_args()
    heading = f"{'microseconds a call':<34}{'median':>8}{'worst':>9}{'process':>10}"
    with tempfile.TemporaryDirectory() as folder, EmbeddedBroker(Path(folder)) as broker:
        TopicAdmin(KafkaSettings(broker.bootstrap_servers)).create(TOPICS)
        print(f"{heading}   with a broker")
        settings = DeliverySettings()
        with_broker = measured(broker.bootstrap_servers, asked, settings, FLUSH_SECONDS)
        inferwatch_agents.init("bench", kafka=broker.bootstrap_servers, traces=asked.traces)
        wall = timed_calls()
        inferwatch_agents.shutdown()
    for name, taken in wall.items():
        told = ", ".join(f"{share} {value:.1f}" for share, value in taken.items())
        print(f"wall time of single calls, microseconds, {name}: {told}")
    print(f"{heading}   Kafka away, queue full")
    full = DeliverySettings(queue_events=100, flush_seconds=0.1)
    without = measured(NOBODY, asked, full, AWAY_SECONDS)
    if asked.json:
        results = {
            "machine": machine(),
            "with_broker": {name: asdict(cost) for name, cost in with_broker.items()},
            "kafka_away": {name: asdict(cost) for name, cost in without.items()},
            "wall_micros": wall,
        }
        asked.json.write_text(json.dumps(results, indent=2) + "\n")
    sys.exit(
        exit_status(
            Claim(
                f"{name}, {where}: {cost.median:.1f} microseconds a call, under {LIMIT_MICROS:g}",
                cost.median < LIMIT_MICROS,
            )
            for where, found in (("with a broker", with_broker), ("Kafka away", without))
            for name, cost in found.items()
            # A stream's cost is of its chunks.
            if "stream" not in name and not asked.traces
        )
    )


if __name__ == "__main__":
    main()
