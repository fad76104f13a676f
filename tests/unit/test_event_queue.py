"""The stores between callers and the sending thread: bounded, numbered, open to any thread."""

import gc
import threading

from hypothesis import given
from hypothesis import strategies as st

from inferwatch_agents.event_queue import Backlog, Event, Intake, Room


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 50)), max_size=60),
    st.integers(1, 20),
    st.integers(1, 400),
)
def test_what_is_made_is_kept_in_order_or_counted(
    made: list[tuple[str, int]], events: int, size: int
) -> None:
    """Kept and dropped events are all that were made, within the room, and gaps are the dropped."""
    intake = Intake(Room(events, size))
    for schema, bytes_ in made:
        intake.put(schema, {}, bytes_, 0)
    kept, dropped = intake.take()
    assert len(kept) <= events
    assert sum(event.size for event in kept) <= size
    for schema in "ab":
        count = sum(1 for name, _ in made if name == schema)
        sequences = [event.sequence for event in kept if event.schema == schema]
        assert sequences == sorted(set(sequences))
        assert set(sequences) <= set(range(count))
        assert len(sequences) + dropped[schema] == count


def test_room_is_free_again_when_events_are_taken() -> None:
    """A drop leaves a gap, and the next event has the number after it."""
    intake = Intake(Room(1, 100))
    assert [intake.put("a", {}, 1, 0) for _ in range(3)] == [1, 0, 0]
    assert [event.sequence for event in intake.take()[0]] == [0]
    intake.put("a", {}, 1, 0)
    events, dropped = intake.take()
    assert ([event.sequence for event in events], dropped) == ([3], {})


def test_threads_get_numbers_of_their_own() -> None:
    """No number is given twice, and none is left out, whoever asks."""
    intake = Intake(Room(10**6, 10**9))

    def put() -> None:
        for _ in range(2000):
            intake.put("a", {}, 1, 0)

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(event.sequence for event in intake.take()[0]) == list(range(8000))


def test_a_finaliser_may_put_while_a_caller_does() -> None:
    """The garbage collector ends an abandoned stream inside of put, in the same thread."""
    intake = Intake(Room(10**6, 10**9))

    class Abandoned:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            intake.put("a", {}, 1, 0)

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(200):
            Abandoned()
            intake.put("a", {}, 1, 0)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert sorted(event.sequence for event in intake.take()[0]) == list(range(400))


def test_the_backlog_drops_the_newest() -> None:
    """What waits longest stays, by number and by bytes."""
    backlog = Backlog(Room(3, 10))
    added = [backlog.add(Event("a", {}, size, number, 0)) for number, size in enumerate((4, 4, 4))]
    assert added == [True, True, False]
    assert backlog.first().sequence == 0
    backlog.pop()
    assert backlog.add(Event("a", {}, 6, 3, 0))
    assert [event.sequence for event in backlog] == [1, 3]
