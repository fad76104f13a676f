"""The role rules with a topic, a keeper and a clock that tests hold."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from batches import Record
from test_record_processor import chunk

from inferwatch_schemas.columnar.chunk import Assignment
from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES, COMMANDS
from inferwatch_schemas.wire import Encoder, decode
from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.commands.command import Command
from inferwatch_streams.errors import SupersededError
from inferwatch_streams.leading import record_processor
from inferwatch_streams.leading.state_record import StateRecord
from inferwatch_streams.rules.evaluation import Evaluation
from inferwatch_streams.rules.finding import Finding
from inferwatch_streams.rules_worker import role as module
from inferwatch_streams.rules_worker.alerting import Alerting
from inferwatch_streams.rules_worker.role import RulesRole
from inferwatch_streams.rules_worker.rulebook import Rulebook
from inferwatch_streams.rules_worker.settings import RulesSettings

ROWS = (AGGREGATES.name, 0)
ORDERS = (COMMANDS.name, 0)
ROW = example_values(AGGREGATES, 1)[0]
ENCODERS = {name: Encoder(name, PinnedRegistry()) for name in ("alert", "silence", "command")}
LIMIT_SECONDS = 20
RULES = """
rules:
  - {name: failing, kind: threshold, severity: low, measure: error_rate, window: 10s, above: 0.1}
"""


class Topic:
    """In place of ``StateTopic``."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, Any]] = []
        self.epoch = 3
        self.superseded = False
        self.closed = False

    async def take_over(self) -> Sequence[Any]:
        """See ``StateTopic``."""
        await asyncio.sleep(0)
        self.superseded = False
        newest = {key: (schema, record) for key, schema, record in self.written}
        return [
            StateRecord(key, 0, schema, decode(ENCODERS[schema].encode(record), PinnedRegistry()))
            for key, (schema, record) in newest.items()
            if record is not None
        ]

    def append(self, key: str, schema: str, record: Mapping[str, Any] | None) -> None:
        """See ``StateTopic``."""
        self.written.append((key, schema, record))

    async def settle(self) -> None:
        """See ``StateTopic``."""
        await asyncio.sleep(0)
        if self.superseded:
            raise SupersededError("another leads")

    def close(self) -> None:
        """See ``StateTopic``."""
        self.closed = True

    def alerts(self, rule: str = "failing") -> list[str]:
        """Return the statuses written of a rule's alerts."""
        found = [record for _, schema, record in self.written if schema == "alert" and record]
        return [record["status"] for record in found if record["rule"] == rule]


class Keeper:
    """In place of ``WindowKeeper``; its rows are of the present."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.windows = SimpleNamespace(newest=None)
        self.taken = 0
        self.saved: list[int | None] = []
        self.behind = False

    async def load(self, assignments: Mapping[Any, Assignment], epoch: int) -> int | None:
        """See ``WindowKeeper``."""
        await asyncio.sleep(0)
        assert ROWS in assignments
        assert epoch == 3
        return self.saved[-1] if self.saved else None

    def take(self, taken: Any, parts: Any, bad: list[Any]) -> None:
        """See ``WindowKeeper``."""
        assert len(parts) or bad
        self.taken += len(taken)
        self.windows.newest = self.clock()

    async def checkpoint(self, evaluated_until: int | None) -> Mapping[Any, int]:
        """See ``WindowKeeper``."""
        await asyncio.sleep(0)
        if self.behind:
            return {}
        self.saved.append(evaluated_until)
        return {ROWS: 1}


class Worker:
    """The role, its clock, and what it finds."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000.0
        self.end = 1
        self.away = False
        self.findings: list[Finding] = []
        self.evaluated: list[int] = []
        self.topic, self.keeper = Topic(), Keeper(lambda: int(self.now * 1_000_000))
        (folder / "rules.yaml").write_text(RULES)
        monkeypatch.setattr(record_processor, "CALM_SECONDS", 0.0)
        monkeypatch.setattr(module, "Evaluator", lambda _gaps: SimpleNamespace(tick=self.evaluate))
        self.role = RulesRole(
            settings=RulesSettings(checkpoint_seconds=1e-6),
            registry=PinnedRegistry(),
            rulebook=Rulebook(folder / "rules.yaml"),
            alerting=Alerting(cast("Any", self.topic), lambda: self.now),
            keeper=cast("Any", self.keeper),
            ends=self.ends,
            clock=lambda: self.now,
        )
        self.assign()

    def assign(self) -> None:
        """Give it its partitions."""
        self.role.processor.assign({at: Assignment("id", 0, 0) for at in (ROWS, ORDERS)})

    async def ends(self, partitions: Sequence[Any]) -> Mapping[Any, int]:
        """Where the partitions of rows end."""
        await asyncio.sleep(0)
        if self.away:
            raise KafkaUnavailableError("away")
        assert partitions == [ROWS]
        return {ROWS: self.end}

    def evaluate(self, rules: Sequence[Any], _windows: Any, at: int) -> Evaluation:
        """See ``Evaluator``."""
        assert [rule.name for rule in rules] == ["failing"]
        self.evaluated.append(at)
        return Evaluation(at, {"failing": tuple(self.findings)}, {})

    async def row(self) -> None:
        """Let the row come."""
        await self.role.processor.process(chunk([Record(0, ROW)], AGGREGATES.name))

    async def seconds(self, count: int) -> None:
        """Let time pass, acting each second."""
        for _ in range(count):
            self.now += 1
            await self.role.act()

    async def order(self, command: Command, offset: int = 0) -> None:
        """Let a command come."""
        value = ENCODERS["command"].encode(command.to_record())
        await self.role.processor.process(chunk([Record(0, value)], COMMANDS.name, offset))


def run(case: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a case, for a bounded time."""
    asyncio.run(asyncio.wait_for(case(), LIMIT_SECONDS))


FOUND = Finding(labels={"service": "a"}, value=1.0, threshold=0.1, samples=10)


def command(**given: Any) -> Command:
    """Return a command that silences a service for an hour."""
    now = 1_700_000_000_000_000
    return Command(
        **{
            "command_id": "c", "event_time": now, "actor": "me", "action": "silence",
            "target": "s", "ends_at": now + 3_600_000_000,
            "matchers": (Matcher("service", "=", "a"),), **given,
        }
    )  # fmt: skip
