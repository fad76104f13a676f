"""Ends are told: of dead processes, and of this one where not all it made has arrived."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from inferwatch_agents.ends import LOOK_SECONDS, SCHEMA, Ends
from inferwatch_agents.outcomes import NOT_DELIVERED, QUEUE_FULL, Faults, Outcomes
from inferwatch_agents.spool import Spool


class Process:
    """One process's part in this, with what it told."""

    def __init__(self, folder: Path | None, producer_id: str) -> None:
        self.told: list[tuple[Mapping[str, Any], int]] = []
        self.outcomes, self.faults = Outcomes(), Faults()
        self.ends = Ends(
            Spool(folder, "chat", "test", "kafka:9092"), producer_id, self.outcomes, self.faults,
            self._emit,
        )  # fmt: skip

    def _emit(self, schema: str, record: Mapping[str, Any], at: int) -> None:
        assert schema == SCHEMA
        self.ends.numbers(schema).take()
        self.told.append((record, at))

    def make(self, count: int, schema: str = "request") -> None:
        """Make events."""
        numbers = self.ends.numbers(schema)
        for _ in range(count):
            numbers.take()

    def arrive(self, count: int, schema: str = "request") -> None:
        """Kafka acknowledges events."""
        for _ in range(count):
            self.outcomes.send(schema)

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """What was told, by producer and topic."""
        return {
            (record["ended_producer_id"], record["ended_topic"]): record["events_made"]
            for record, _ in self.told
        }


def dead(folder: Path) -> None:
    """A process that has died: the kernel has released its lock."""
    process = Process(folder, "dead")
    process.make(7)
    process.make(2, "log")
    process.make(1, "no schema of a topic")
    process.ends.leave()


DEAD = {("dead", "inferwatch.requests"): 7, ("dead", "inferwatch.logs"): 2}


def test_the_dead_are_told_of_until_it_has_arrived(tmp_path: Path) -> None:
    """Once, when nothing waits; again where it was lost; and the file stays until then."""
    dead(tmp_path)
    process = Process(tmp_path, "alive")
    process.ends.look(0, idle=False)
    assert process.told == []
    process.ends.look(0, idle=True)
    assert process.counts == DEAD
    assert {(r["service_name"], r["deployment_environment_name"]) for r, _ in process.told} == {
        ("chat", "test")
    }
    assert len({at for _, at in process.told}) == 1
    process.ends.look(2 * LOOK_SECONDS, idle=True)
    assert len(process.told) == 2

    process.arrive(1, SCHEMA)
    process.outcomes.fail(SCHEMA, NOT_DELIVERED)
    process.ends.look(2 * LOOK_SECONDS, idle=True)
    assert len(list(tmp_path.iterdir())) == 2
    process.ends.look(2 * LOOK_SECONDS, idle=True)
    assert len(process.told) == 4
    process.arrive(2, SCHEMA)
    process.ends.look(2 * LOOK_SECONDS, idle=True)
    assert [path.name[-5:] for path in tmp_path.iterdir()] == ["alive"]


def test_two_that_look_at_once_tell_it_once(tmp_path: Path) -> None:
    """The second finds it claimed, and tells it only where the first ends before it arrived."""
    dead(tmp_path)
    first, second = Process(tmp_path, "first"), Process(tmp_path, "second")
    first.ends.look(0, idle=True)
    second.ends.look(0, idle=True)
    assert (first.counts, second.counts) == (DEAD, {})
    first.ends.close()
    second.ends.look(LOOK_SECONDS, idle=True)
    assert second.counts == DEAD | {("first", "inferwatch.producer_ends"): 2}


def test_an_end_at_which_all_has_arrived_tells_nothing(tmp_path: Path) -> None:
    """And leaves nothing."""
    process = Process(tmp_path, "p")
    process.make(3)
    process.arrive(3)
    assert not process.ends.finish()
    process.ends.close()
    assert (process.told, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize("kept", [True, False])
def test_an_end_at_which_some_are_missing_is_told(tmp_path: Path, kept: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """By the process itself, also where it keeps no file; which stays if that is lost too."""
    process = Process(tmp_path if kept else None, "p")
    process.make(3)
    process.make(1, "log")
    process.arrive(2)
    process.arrive(1, "log")
    process.outcomes.drop("request", QUEUE_FULL)
    assert process.ends.finish()
    assert process.counts == {("p", "inferwatch.requests"): 3}
    process.ends.close()
    assert len(list(tmp_path.iterdir())) == kept
    later = Process(tmp_path, "later")
    later.ends.look(0, idle=True)
    assert (later.counts.get(("p", "inferwatch.requests")) == 3) is kept


def test_an_end_that_was_told_leaves_nothing(tmp_path: Path) -> None:
    """Kafka has what the file says."""
    process = Process(tmp_path, "p")
    process.make(3)
    assert process.ends.finish()
    process.arrive(1, SCHEMA)
    process.ends.close()
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_counts_what_arrives_of_its_own(tmp_path: Path) -> None:
    """What its parent had sent before is none of its events."""
    parent = Process(tmp_path, "parent")
    parent.arrive(5)
    child = Ends(
        Spool(tmp_path, "chat", "test", "kafka:9092"), "child", parent.outcomes, parent.faults,
        parent._emit,  # noqa: SLF001  # as the fork has it
    )  # fmt: skip
    child.numbers("request").take()
    assert child.finish()


def test_a_folder_that_has_gone_costs_the_caller_nothing(tmp_path: Path) -> None:
    """Events are numbered as ever, and the failure is counted once."""
    process = Process(tmp_path / "gone", "p")
    process.make(3)
    process.make(1, "log")
    assert process.ends.numbers("request").made == 3
    assert process.faults.counts == {"keeping the last numbers": 1}
