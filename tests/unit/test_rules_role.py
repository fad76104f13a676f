"""The role rules without Kafka: when it evaluates, what it writes, and when it begins anew."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from batches import Record
from prometheus_client import REGISTRY
from test_record_processor import chunk

from inferwatch_schemas.columnar.chunk import Assignment
from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES, COMMANDS
from inferwatch_schemas.wire import Encoder, decode
from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.alerts.step import step
from inferwatch_streams.commands.command import Command
from inferwatch_streams.errors import ConfigurationError, StreamsSettingsError, SupersededError
from inferwatch_streams.leading import record_processor
from inferwatch_streams.leading.state_record import StateRecord
from inferwatch_streams.rules.evaluation import Evaluation
from inferwatch_streams.rules.finding import Finding
from inferwatch_streams.rules_worker import alerting
from inferwatch_streams.rules_worker import role as module
from inferwatch_streams.rules_worker.alerting import Alerting
from inferwatch_streams.rules_worker.pipeline_silent import NAME
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


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker that has its partitions."""
    return Worker(tmp_path, monkeypatch)


def run(case: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a case, for a bounded time."""
    asyncio.run(asyncio.wait_for(case(), LIMIT_SECONDS))


FOUND = Finding(labels={"service": "a"}, value=1.0, threshold=0.1, samples=10)


def test_settings_come_from_variables() -> None:
    """What is not set has its default; what cannot be is told with the variable's name."""
    assert RulesSettings.from_environment({}) == RulesSettings()
    found = RulesSettings.from_environment(
        {"INFERWATCH_RULES_FILE": "r.yaml", "INFERWATCH_RULES_SETTLE_SECONDS": "5"}
    )
    assert (found.file, found.settle_seconds) == (Path("r.yaml"), 5.0)
    for name, value in (("TICK_SECONDS", "0"), ("FETCH_BYTES", "x"), ("GROUP", "")):
        with pytest.raises(StreamsSettingsError, match=f"INFERWATCH_RULES_{name}"):
            RulesSettings.from_environment({f"INFERWATCH_RULES_{name}": value})


def test_it_evaluates_when_the_rows_are_read(worker: Worker) -> None:
    """Not before; then each second, at the settling delay; and what changes is written once."""

    async def case() -> None:
        worker.findings = [FOUND]
        await worker.seconds(3)
        assert worker.evaluated == []
        await worker.row()
        await worker.seconds(3)
        assert worker.keeper.taken == 1
        assert worker.evaluated == [int(worker.now - back) * 1_000_000 for back in (4, 3, 2)]
        assert worker.topic.alerts() == ["firing"]
        worker.findings = []
        await worker.seconds(2)
        assert worker.topic.alerts() == ["firing", "resolved"]
        assert worker.role.processor.floors()[ROWS] == 1
        assert worker.keeper.saved[-1] == worker.evaluated[-1]

    run(case)


def test_the_group_hears_of_a_worker_that_reckons_long(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand alerts at once must not cost the lead: heartbeats go on meanwhile."""
    beats = 0

    async def heart() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.001)
            beats += 1

    def slow(*given: Any) -> Any:
        before = beats
        deadline = time.monotonic() + 5
        while beats < before + 3:
            assert time.monotonic() < deadline, "the heart stands still"
            time.sleep(0.001)
        return step(*given)

    monkeypatch.setattr(alerting, "step", slow)

    async def case() -> None:
        beating = asyncio.create_task(heart())
        worker.findings = [FOUND]
        await worker.row()
        await worker.seconds(1)
        beating.cancel()
        assert worker.topic.alerts() == ["firing"]

    run(case)


def test_when_nothing_comes_only_that_is_told(worker: Worker) -> None:
    """The other rules' alerts stay as they are; it is resolved when rows come again."""

    async def case() -> None:
        worker.findings = [FOUND]
        await worker.row()
        await worker.seconds(62)
        evaluated = len(worker.evaluated)
        worker.findings = []
        await worker.seconds(30)
        assert len(worker.evaluated) == evaluated
        assert worker.topic.alerts(NAME) == ["firing"]
        assert worker.topic.alerts() == ["firing"]
        assert REGISTRY.get_sample_value("inferwatch_rules_held", {"reason": "silent"}) == 1
        worker.end = 2
        await worker.role.processor.process(chunk([Record(0, ROW)], AGGREGATES.name, 1))
        await worker.seconds(3)
        assert worker.topic.alerts(NAME) == ["firing", "resolved"]
        assert worker.topic.alerts() == ["firing", "resolved"]

    run(case)


def test_who_is_replaced_begins_anew(worker: Worker) -> None:
    """It acts no more until it was given the partitions again; without them it follows nothing."""

    async def case() -> None:
        await worker.row()
        await worker.seconds(2)
        worker.topic.superseded = True
        await worker.seconds(2)
        assert worker.role.processor.read_again
        evaluated = len(worker.evaluated)
        await worker.seconds(5)
        assert len(worker.evaluated) == evaluated
        worker.assign()
        await worker.row()
        await worker.seconds(2)
        assert len(worker.evaluated) > evaluated
        worker.role.processor.assign({})
        await worker.seconds(1)
        assert worker.topic.closed

    run(case)


def test_rows_of_before_a_new_beginning_are_left_to_it(worker: Worker) -> None:
    """A chunk that waited while all was begun anew is not the next one of what is held then."""

    async def case() -> None:
        await worker.row()
        taken = worker.keeper.taken
        late = chunk([Record(0, ROW)], AGGREGATES.name, 1)
        async with worker.role._acting:  # noqa: SLF001  # as if something else were at work
            taking = asyncio.create_task(worker.role.processor.process(late))
            await asyncio.sleep(0.01)
            worker.assign()
        await taking
        assert worker.keeper.taken == taken
        assert worker.role.processor.position(ROWS) == 0

    run(case)


def test_it_waits_for_kafka(worker: Worker) -> None:
    """While nobody says where partitions end nothing is evaluated, and nothing is lost."""

    async def case() -> None:
        await worker.row()
        worker.away = True
        await worker.seconds(5)
        assert worker.evaluated == []
        worker.away = False
        await worker.seconds(1)
        assert len(worker.evaluated) == 1

    run(case)


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


def test_commands_are_carried_out(worker: Worker) -> None:
    """What they change is written before they need not be read again; nonsense is passed over."""

    async def case() -> None:
        await worker.order(command())
        ((key, schema, record),) = worker.topic.written
        assert (key, schema, record["silence_id"]) == ("silence/s", "silence", "s")
        assert worker.role.processor.floors()[ORDERS] == 1
        await worker.order(command(command_id="d", action="acknowledge", target="nothing"), 1)
        await worker.order(command(command_id="e", action="dance"), 2)
        wrong = command(command_id="f")
        object.__setattr__(wrong.matchers[0], "operator", "~")
        await worker.order(wrong, 3)
        assert len(worker.topic.written) == 1
        assert worker.role.processor.floors()[ORDERS] == 4

    run(case)


def refused() -> float:
    """Return how often a file was not reloaded."""
    labels = {"outcome": "refused"}
    return REGISTRY.get_sample_value("inferwatch_rules_reloads_total", labels) or 0.0


def test_a_silence_holds_for_ticks_that_the_next_leader_carries_out_again(worker: Worker) -> None:
    """A tick of before it may find what was silenced: rows that came after the tick."""

    async def case() -> None:
        await worker.row()
        await worker.seconds(3)
        written = worker.keeper.saved[-1]
        assert written is not None
        worker.keeper.behind = True
        await worker.seconds(15)
        await worker.order(command())
        worker.findings = [FOUND]
        worker.assign()
        await worker.row()
        before = len(worker.evaluated)
        await worker.seconds(1)
        assert worker.evaluated[before] == written + 10_000_000
        assert worker.topic.alerts() == ["firing"]
        ((_, _, alert),) = (each for each in worker.topic.written if each[1] == "alert")
        assert alert["silence_id"] == "s"

    run(case)


def test_a_rules_file_is_reloaded(tmp_path: Path) -> None:
    """Once each time it was changed; where it is wrong, or gone, what held goes on holding."""
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    book = Rulebook(file)
    assert not book.look()
    file.write_text("rules: [{name: other}]")
    before = (
        REGISTRY.get_sample_value("inferwatch_rules_reloads_total", {"outcome": "refused"}) or 0
    )
    assert not book.look()
    assert not book.look()
    after = REGISTRY.get_sample_value("inferwatch_rules_reloads_total", {"outcome": "refused"})
    assert after == before + 1
    assert [rule.name for rule in book.book.rules] == ["failing"]
    file.unlink()
    assert not book.look()
    file.write_text(
        RULES.replace("failing", "failed")
        + "maintenance: [{name: night, matchers: ['service=a'], from: '22:00', to: '06:00'}]\n"
        + "inhibitions: [{source: ['rule=a'], target: ['rule=b'], equal: [service]}]\n"
    )
    assert book.look()
    assert book.book.policies.keys() == {"failed", NAME}
    assert [each.name for each in book.book.alerting.maintenance] == ["night"]
    assert len(book.book.alerting.inhibitions) == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("maintenance: [{name: a, matchers: ['x'], from: '22:00', to: '06:00'}]", "no matcher"),
        ("inhibitions: [{source: ['a=~('], target: ['b=c']}]", "no regular expression"),
        (
            "maintenance: [&a {name: a, matchers: [x=y], from: '22:00', to: '06:00'}, *a]",
            "is the name of maintenance",
        ),
    ],
)
def test_what_is_wrong_beside_the_rules_stops_at_start(tmp_path: Path, said: str, why: str) -> None:
    """With file and line."""
    file = tmp_path / "rules.yaml"
    file.write_text(f"{RULES}{said}\n")
    with pytest.raises(ConfigurationError, match=rf"rules.yaml:4: .*{why}"):
        Rulebook(file)
