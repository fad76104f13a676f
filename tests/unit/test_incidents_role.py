"""The role incidents without a broker: what it waits for before time brings anything about."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
from batches import Record, batch, fetched
from incident_alerts import alert, at, command

from inferwatch_schemas.columnar.chunk import Assignment, Chunk
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import ALERTS, COMMANDS
from inferwatch_schemas.wire import Encoder, decode
from inferwatch_streams.incidents import role as module
from inferwatch_streams.incidents.changes import opened
from inferwatch_streams.incidents.policy import Level, Policy
from inferwatch_streams.incidents.role import IncidentsRole
from inferwatch_streams.incidents.runner import Runner
from inferwatch_streams.incidents.settings import IncidentsSettings
from inferwatch_streams.leading import record_processor
from inferwatch_streams.leading.state_record import StateRecord
from inferwatch_streams.leading.state_topic import StateTopic

POLICY = Policy(levels=(Level(("chat",)), Level(("lead",))), actions={}, sets={})
OPENED = opened(POLICY, alert(), at(0))
STORED = decode(Encoder("incident", PinnedRegistry()).encode(OPENED.to_record()), PinnedRegistry())


class Topic:
    """The incidents' topic: one incident, and what is written since.

    Attributes:
        written: Names of the changes, in order.
    """

    def __init__(self) -> None:
        self.written: list[str] = []

    async def take_over(self) -> list[StateRecord]:
        """See ``StateTopic``."""
        return [StateRecord(OPENED.incident_id, 1, "incident", STORED)]

    def append(self, key: str, schema: str, record: dict[str, Any]) -> None:
        """See ``StateTopic``."""
        del key, schema
        self.written.append(record["transition"])

    async def settle(self) -> None:
        """See ``StateTopic``."""


def given(*values: bytes) -> Chunk:
    """A chunk of commands."""
    records = [Record(number, value, b"k") for number, value in enumerate(values)]
    (found,) = fetched(batch(records, base_offset=0), 0)
    return replace(found, topic=COMMANDS.name, partition=0)


def test_what_was_commanded_comes_before_what_is_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who took an incident while no worker ran is not told, nor others, that nobody did."""
    monkeypatch.setattr(record_processor, "epoch_before", lambda *_: 0)
    monkeypatch.setattr(module, "alerts_before", lambda *_: ({}, 0))
    monkeypatch.setattr(module, "end_of", lambda *_: 2, raising=False)
    topic = Topic()
    role = IncidentsRole(
        settings=IncidentsSettings(),
        registry=PinnedRegistry(),
        policy=POLICY,
        topic=cast("StateTopic", topic),
        runner=Runner({}),
        clock=lambda: at(86_400 / 2) / 1e6,
    )

    async def case() -> None:
        role.processor.assign({
            (ALERTS.name, 0): Assignment("a", 0, 0), (COMMANDS.name, 0): Assignment("c", 0, 0),
        })  # fmt: skip
        await role.act()
        assert topic.written == []
        taken = command("acknowledge", OPENED.incident_id, 60).to_record()
        encoder = Encoder("command", PinnedRegistry())
        await role.processor.process(given(b"garbage", encoder.encode(taken)))
        await role.act()
        assert topic.written == ["acknowledged"]

    asyncio.run(case())
