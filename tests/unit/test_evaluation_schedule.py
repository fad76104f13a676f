"""Schedules: turns at fixed times, never two runs at once, and an end at any moment."""

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdk_recorder import Recorder

from inferwatch_agents import process
from inferwatch_agents.errors import ConfigurationError
from inferwatch_agents.evaluation import Evaluator, Question, QuestionSet, Schedule, Summary
from inferwatch_agents.evaluation import schedule as schedule_module
from inferwatch_agents.evaluation.schedule import next_turn

ONE = QuestionSet("set", (Question("q", "A", "A"),))


@given(st.integers(0, 10**6), st.sampled_from([0.25, 1.0, 60.0, 3600.0]))
def test_the_next_turn_is_the_first_to_come(elapsed: int, seconds: float) -> None:
    """Its time is not over, and that of the one before is."""
    turn = next_turn(float(elapsed), seconds)
    assert (turn - 1) * seconds <= elapsed < turn * seconds


class Time:
    """A clock that its sleepers move on, and that ends the schedule at a time."""

    def __init__(self, end: float) -> None:
        self.now = 100.0
        self.end = self.now + end

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Move on."""
        self.now += seconds
        if self.now >= self.end:
            raise asyncio.CancelledError


def played(time: Time, seconds: float, takes: list[float], **given: Any) -> tuple[list[float], Any]:
    """When the runs of a schedule began, runs that took so long, and the schedule."""
    began: list[float] = []

    async def model(question: str) -> str:
        began.append(time.now - 100)
        time.now += takes[min(len(began), len(takes)) - 1]
        return question

    schedule = Schedule(
        Evaluator("m", model, ONE), seconds,
        monotonic=time.monotonic, sleep=time.sleep, **given,
    )  # fmt: skip
    schedule.run()
    return began, schedule


def test_turns_are_counted_from_the_start() -> None:
    """However long the runs take, as long as it is less than the interval."""
    began, schedule = played(Time(50), 10, [9.5, 0.1])
    assert began == [0, 10, 20, 30, 40]
    assert (schedule.runs, schedule.left_out) == (5, 0)


def test_a_turn_during_a_run_is_left_out() -> None:
    """Runs never overlap, and none follows at once to catch up."""
    began, schedule = played(Time(60), 10, [25, 10, 1])
    assert began == [0, 30, 50]
    assert (schedule.runs, schedule.left_out) == (3, 3)


def test_jitter_moves_all_turns() -> None:
    """By one time, so that the interval stays what it is."""
    began, _ = played(Time(30), 10, [1], jitter_seconds=4, chance=lambda: 0.5)
    assert began == [2, 12, 22]


def test_a_run_that_fails_does_not_end_the_schedule() -> None:
    """It is told and counted."""
    told: list[str] = []

    def on_run(summary: Summary) -> None:
        raise OSError(summary.model)

    _, schedule = played(
        Time(30), 10, [1], on_run=on_run, on_failure=lambda error: told.append(str(error))
    )
    assert (schedule.runs, schedule.failed, told) == (0, 3, ["m", "m", "m"])


@pytest.mark.parametrize("entered", [False, True])
def test_it_ends_while_it_waits_and_while_it_runs(entered: bool) -> None:  # noqa: FBT001  # both moments
    """In a thread of its own, which stops within its time."""
    running, done = threading.Event(), threading.Event()

    async def model(question: str) -> str:
        running.set()
        await asyncio.sleep(1000 if entered else 0)
        return question

    schedule = Schedule(Evaluator("m", model, ONE), 1000, on_run=lambda _: done.set()).start()
    assert (running if entered else done).wait(10)
    assert schedule.stop(10)
    assert schedule.stop()
    assert done.is_set() != entered
    with pytest.raises(ConfigurationError, match="starts once"):
        schedule.start()


@pytest.mark.parametrize(("seconds", "jitter"), [(0, 0), (-1, 0), (float("nan"), 0), (1, -1)])
def test_times_that_cannot_be_are_one_sentence(seconds: float, jitter: float) -> None:
    """At the start, not at the first turn."""
    with pytest.raises(ConfigurationError, match="cannot be"):
        Schedule(Evaluator("m", str, ONE), seconds, jitter_seconds=jitter)


def test_telling_that_fails_does_not_end_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service does with a summary or a failure is its own, and is counted."""

    def fail(_about: object) -> None:
        raise RuntimeError("the service's own")

    recorder = Recorder()
    monkeypatch.setattr(process, "_active", recorder)
    monkeypatch.setattr(schedule_module, "log_left_out", fail)
    began, schedule = played(Time(60), 10, [25, 10, 1], on_run=fail, on_failure=fail)
    assert began == [0, 30, 50]
    assert (schedule.failed, schedule.left_out) == (3, 3)
    assert {where for where, _ in recorder.faults} == {"telling of an evaluation"}
