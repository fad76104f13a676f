"""Playing events: pace, stopping, progress, and what is said of it. Time is simulated."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.commands.replay import speed_factor, summary
from inferwatch.replaying import Played, replay
from inferwatch.traces.errors import TraceError
from inferwatch.traces.events import TraceEvent
from inferwatch_agents.errors import PublishError


@dataclass
class World:
    """A clock, a way to sleep on it, and a publisher that notes when it was given what."""

    now: float = 100.0
    sent: list[tuple[float, str, int]] = field(default_factory=list)
    publish_seconds: float = 0.0
    failed: int = 0
    fail_after: int | None = None
    flushes: int = 0
    progress: list[int] = field(default_factory=list)

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        assert 0 < seconds <= 0.1
        self.now += seconds

    def publish(self, schema: str, _record: dict[str, Any], *, event_time_micros: int) -> None:
        """Note an event."""
        self.sent.append((self.now, schema, event_time_micros))
        self.now += self.publish_seconds
        if len(self.sent) == self.fail_after:
            self.failed = 1

    def poll(self) -> None:
        """Nothing to take up."""

    def flush(self, timeout: float) -> None:
        """Tell of failures."""
        assert timeout > 0
        self.flushes += 1
        if self.failed:
            raise PublishError("not delivered")

    def play(self, events: Any, speed: float | None, **options: Any) -> Played:
        """Replay into this world."""
        return replay(events, self, speed=speed, clock=self.clock, sleep=self.sleep,
                      on_progress=self.progress.append, **options)  # fmt: skip


def requests(*seconds: float) -> list[TraceEvent]:
    """Events at these times."""
    return [TraceEvent("request", 5_000_000 + round(at * 1_000_000), {}) for at in seconds]


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=8).map(sorted),
    st.sampled_from([0.5, 1.0, 10.0]),
)
def test_events_go_at_their_time_divided_by_the_speed(times: list[int], speed: float) -> None:
    """Each event goes when its distance to the first has passed, and not before."""
    world = World()
    world.play(requests(*times), speed)
    for (went, _, _), at in zip(world.sent, times, strict=True):
        assert went == pytest.approx(100 + (at - times[0]) / speed, abs=1e-6)


def test_event_times_are_kept() -> None:
    """Whatever the speed, the events carry their own times."""
    world = World()
    world.play(requests(0, 7.5), 100.0)
    assert [at for _, _, at in world.sent] == [5_000_000, 12_500_000]


def test_at_most_speed_nothing_waits() -> None:
    """Without a speed no time passes between events."""
    world = World()
    world.play(requests(0, 1000, 2000), None)
    assert [went for went, _, _ in world.sent] == [100.0] * 3


def test_an_event_out_of_order_goes_at_its_turn_and_delays_nothing() -> None:
    """A late event goes at once; the next is on time."""
    world = World()
    world.play(requests(0, 10, 4, 12), 1.0)
    assert [went for went, _, _ in world.sent] == pytest.approx([100, 110, 110, 112])


def test_a_slow_broker_does_not_shift_the_pace() -> None:
    """What publishing takes is caught up in the next wait."""
    world = World(publish_seconds=0.6)
    world.play(requests(0, 1, 2, 3), 1.0)
    assert [went for went, _, _ in world.sent] == pytest.approx([100, 101, 102, 103])


def test_a_stop_ends_a_long_wait_and_flushes() -> None:
    """A stop while waiting for an event far away ends the replay with what was sent."""
    world = World()
    played = world.play(requests(0, 1, 9999), 1.0, stopped=lambda: world.now > 105)
    assert played.stopped
    assert played.events == {"inferwatch.requests": 2}
    assert world.now < 106
    assert world.flushes == 1


def test_events_are_counted_by_topic_with_progress() -> None:
    """The result counts topics, and progress ascends to the total."""
    events = [*requests(0, 1), TraceEvent("exposure", 6_500_000, {})]
    world = World()
    played = world.play(events, 1.0)
    assert played.events == {"inferwatch.requests": 2, "inferwatch.exposures": 1}
    assert not played.stopped
    assert played.seconds == pytest.approx(1.5)
    assert world.progress == sorted(world.progress)
    assert world.progress[-1] == 3
    assert 10 <= len(world.progress) <= 20


def test_a_failed_delivery_ends_the_replay_early() -> None:
    """It does not go on sending to a broker that refuses."""
    world = World(fail_after=3, publish_seconds=0.05)
    with pytest.raises(PublishError):
        world.play(requests(*range(1000)), None)
    assert len(world.sent) < 10


def test_what_was_before_a_malformed_row_is_sent() -> None:
    """The error of the row reaches the caller after the earlier events were acknowledged."""

    def broken() -> Any:
        yield from requests(0, 1)
        raise TraceError("line 3")

    world = World()
    with pytest.raises(TraceError, match="line 3"):
        world.play(broken(), None)
    assert (len(world.sent), world.flushes) == (2, 1)


def test_the_summary_is_one_line() -> None:
    """It says how many events went where, in what time, and whether that was all."""
    world = World(publish_seconds=0.5)
    played = world.play(requests(0, 0), None)
    assert summary(played) == ("Sent 2 events (2 to inferwatch.requests) in 1.0 s, 2 events/s.")
    stopped = World().play(requests(0), None, stopped=lambda: True)
    assert summary(stopped) == "Stopped after 0 events in 0.0 s, 0 events/s."


@pytest.mark.parametrize(("text", "factor"), [("max", None), ("2", 2.0), ("0.5", 0.5)])
def test_speeds(text: str, factor: float | None) -> None:
    """A speed is a positive number, or max."""
    assert speed_factor(text) == factor


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast", ""])
def test_other_speeds_are_refused(text: str) -> None:
    """What is no speed is told so."""
    with pytest.raises(typer.BadParameter, match="neither 'max' nor a positive number"):
        speed_factor(text)
