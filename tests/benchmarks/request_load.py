"""The load of a benchmark: request events of the real schema, and what they must come to."""

import io
import math
import random
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import fastavro
from confluent_kafka import Producer

from inferwatch_schemas import releases
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT

PARTITIONS = 4
WINDOW_MICROS = 10_000_000
MICROS = 1_000_000
START_MICROS = 1_750_000_000 * MICROS
SPREAD_SECONDS = 300
OUT_OF_ORDER_SECONDS = 30
# An hour.
CLOSING_WINDOWS = 360
ERRORS = ("timeout", "429", "500")
# Services and models of each size of load.
GROUPS = {20: (5, 4), 2000: (50, 40)}

Group = tuple[int, str, str]
# Publishes values to a topic, and waits until the broker has them.
Send = Callable[[KafkaSettings, str, list[bytes]], None]


@dataclass
class Totals:
    """What one window of one service and model comes to."""

    requests: int = 0
    errors: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd_micros: int = 0
    duration_micros: int = 0
    first_token_micros: int = 0
    duration_bins: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    first_token_bins: dict[int, int] = field(default_factory=lambda: defaultdict(int))


@dataclass(frozen=True)
class Load:
    """Encoded events, and their totals.

    Attributes:
        values: Values of Kafka records.
        groups: Service and model of each.
        totals: By window number, service and model.
    """

    values: list[bytes]
    groups: list[tuple[str, str]]
    totals: dict[Group, Totals]

    def service_keys(self) -> list[bytes]:
        """The key of each record as the topic catalogue has it."""
        return [service.encode() for service, _ in self.groups]

    def group_keys(self) -> list[bytes]:
        """A key for each record that puts a group's records into one partition."""
        return [f"{service}|{model}".encode() for service, model in self.groups]


def bin_of(seconds: float) -> int:
    """Bin of an exponential histogram of 32 bins an octave, bounds above included."""
    return math.ceil(math.log2(seconds) * 32) - 1


def make_load(
    seed: int,
    events: int,
    groups: int,
    start_micros: int = START_MICROS,
    of: int | None = None,
) -> Load:
    """Events out of order over several minutes.

    Args:
        seed: Of the chance that makes them.
        events: How many.
        groups: A size of ``GROUPS``.
        start_micros: Event time of the first, before it is put out of order.
        of: Take the first ``events`` of a load of so many, with its events a second.
    """
    chance = random.Random(seed)  # noqa: S311 -- a load, no secret
    services, models = GROUPS[groups]
    return _load(
        _event(
            chance,
            number,
            start_micros + number * SPREAD_SECONDS * MICROS // (of or events),
            f"service-{chance.randrange(services)}",
            f"model-{chance.randrange(models)}",
        )
        for number in range(events)
    )


def make_closing(load: Load) -> Load:
    """One event of each group of a load, an hour after its last: what closes a window by time."""
    chance = random.Random(len(load.values))  # noqa: S311 -- a load, no secret
    last = max(window for window, _, _ in load.totals)
    at = (last + CLOSING_WINDOWS) * WINDOW_MICROS
    groups = sorted(set(load.groups))
    return _load(
        _event(chance, number, at, service, model) for number, (service, model) in enumerate(groups)
    )


def _load(events: Iterable[dict[str, Any]]) -> Load:
    release = releases.latest("request")
    schema = fastavro.parse_schema(release.schema)
    prefix = struct.pack(">bI", 0, release.id)
    totals: dict[Group, Totals] = defaultdict(Totals)
    values, groups = [], []
    for event in events:
        _add(totals, event)
        body = io.BytesIO()
        body.write(prefix)
        fastavro.schemaless_writer(body, schema, event)
        values.append(body.getvalue())
        groups.append((event["service_name"], event["gen_ai_request_model"]))
    return Load(values, groups, dict(totals))


def _event(chance: random.Random, number: int, at: int, service: str, model: str) -> dict[str, Any]:
    first = round(chance.lognormvariate(-1, 0.6), 6)
    return {
        "event_id": f"bench-1f0c-request-{number}",
        "producer_id": "bench-1f0c",
        "sequence": number,
        "event_time": at - chance.randrange(OUT_OF_ORDER_SECONDS * MICROS),
        "service_name": service,
        "deployment_environment_name": "production",
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "openai",
        "gen_ai_request_model": model,
        "endpoint": "/v1/chat",
        "http_request_method": "POST",
        "http_response_status_code": 200,
        "error_type": chance.choice(ERRORS) if chance.random() < 0.02 else None,
        "duration_seconds": round(first + chance.lognormvariate(0, 1), 6),
        "time_to_first_token_seconds": first,
        "gen_ai_usage_input_tokens": chance.randrange(4000),
        "gen_ai_usage_output_tokens": chance.randrange(1000),
        "cost_usd_micros": chance.randrange(20_000),
        "user_id": f"user-{chance.randrange(5000)}",
        "session_id": f"session-{chance.randrange(20_000)}",
    }


def _add(totals: dict[Group, Totals], event: dict[str, Any]) -> None:
    group = totals[
        event["event_time"] // WINDOW_MICROS, event["service_name"], event["gen_ai_request_model"]
    ]
    group.requests += 1
    if event["error_type"] is not None:
        group.errors[event["error_type"]] += 1
    group.input_tokens += event["gen_ai_usage_input_tokens"]
    group.output_tokens += event["gen_ai_usage_output_tokens"]
    group.cost_usd_micros += event["cost_usd_micros"]
    group.duration_micros += round(event["duration_seconds"] * MICROS)
    group.first_token_micros += round(event["time_to_first_token_seconds"] * MICROS)
    group.duration_bins[bin_of(event["duration_seconds"])] += 1
    group.first_token_bins[bin_of(event["time_to_first_token_seconds"])] += 1


def publish(
    kafka: KafkaSettings, topic: str, values: list[bytes], keys: list[bytes] | None = None
) -> None:
    """Send values to the partitions by their keys as Java does, or in turn, and await the broker.

    Args:
        kafka: Where.
        topic: Which has ``PARTITIONS`` partitions.
        values: Of the records.
        keys: Of the records (``Load.service_keys``, ``Load.group_keys``); in turn when None.
    """
    producer = Producer(
        {
            **kafka.confluent(),
            "compression.type": "zstd",
            "linger.ms": 50,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_000_000,
        },
        logger=SILENT,
    )
    for number, value in enumerate(values):
        where: dict[str, Any] = (
            {"key": keys[number]} if keys else {"partition": number % PARTITIONS}
        )
        while True:
            try:
                producer.produce(topic, value, **where)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 10_000 == 0:
            producer.poll(0)
    if producer.flush(120):
        raise SystemExit("The broker did not take the load within 120 s.")
