"""The role rules without Kafka: when it evaluates, what it writes, and when it begins anew."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from batches import Record
from prometheus_client import REGISTRY
from rules_role_worker import FOUND, ROW, ROWS, Worker, run
from test_record_processor import chunk

from inferwatch_schemas.topics import AGGREGATES
from inferwatch_streams.alerts.step import step
from inferwatch_streams.errors import StreamsSettingsError
from inferwatch_streams.rules_worker import alerting
from inferwatch_streams.rules_worker.pipeline_silent import NAME
from inferwatch_streams.rules_worker.settings import RulesSettings


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker that has its partitions."""
    return Worker(tmp_path, monkeypatch)


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
