"""Stands for the SDK's client, keeps log records, and reads them as Kafka has them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from strict_avro import read

from inferwatch_agents.calls import Call
from inferwatch_agents.event_queue import Draft
from inferwatch_agents.logs import Send
from inferwatch_agents.logs.record import SCHEMA
from inferwatch_schemas import releases
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import LOGS
from inferwatch_schemas.wire import PREFIX, Encoder

ENCODER = Encoder(SCHEMA, PinnedRegistry())
# 2025-07-01, in nanoseconds.
NOW = 1_751_328_000_123_456_000


@dataclass
class LogRecorder:
    """Keeps what it is told; it is its own delivery.

    Attributes:
        sending: What ``is_sending_here`` says.
        events: Drafts, sizes and times of records.
        faults: Where something failed inside, and why.
    """

    service: str = "svc"
    environment: str = "test"
    sending: bool = False
    events: list[tuple[Draft, int, int]] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)

    @property
    def delivery(self) -> "LogRecorder":
        """Itself."""
        return self

    def emit(self, schema: str, draft: Draft, size: int, at: int) -> None:
        """Keep it."""
        assert schema == SCHEMA
        self.events.append((draft, size, at))

    def began(self, _: Call) -> None:
        """Calls are not kept."""

    def ended(self, _: Call) -> None:
        """As ``began``."""

    def is_sending_here(self) -> bool:
        """As ``Delivery``."""
        return self.sending

    def fault(self, where: str, error: BaseException) -> None:
        """Keep it."""
        self.faults.append((where, str(error)))

    def records(self) -> list[dict[str, Any]]:
        """All of them, written, and read strictly."""
        return [encoded(draft.record(), at) for draft, _, at in self.events]

    def one(self) -> dict[str, Any]:
        """The only one; nothing failed inside."""
        (record,) = self.records()
        assert self.faults == []
        return record


def encoded(record: Any, at: int = NOW // 1000) -> dict[str, Any]:
    """A record as a reader of its topic gets it; its attributes as a dictionary."""
    header = {"event_id": "e", "producer_id": "p", "sequence": 0, "event_time": at}
    value = ENCODER.encode({**record, **header})
    assert len(value) <= LOGS.max_value_bytes
    found = read(releases.latest(SCHEMA).schema, value[PREFIX.size :])
    found["attributes"] = {pair["key"]: pair["value"] for pair in found["attributes"]}
    return found


def logger(send: Send) -> tuple[Any, list[dict[str, Any]]]:
    """A logger of structlog with the processor, and the lines that it writes, read again."""
    lines: list[dict[str, Any]] = []

    class Lines:
        name = "app"

        def __getattr__(self, _: str) -> Callable[[str], None]:
            return lambda line: lines.append(json.loads(line, parse_constant=_refuse))

    return structlog.wrap_logger(
        Lines(),
        processors=[send, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
    ), lines


def _refuse(constant: str) -> None:
    raise AssertionError(constant)
