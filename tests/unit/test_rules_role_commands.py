"""Commands reach the role rules, and what they say holds from the tick that they come after."""

from pathlib import Path

import pytest
from rules_role_worker import FOUND, ORDERS, Worker, command, run


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker that has its partitions."""
    return Worker(tmp_path, monkeypatch)


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
