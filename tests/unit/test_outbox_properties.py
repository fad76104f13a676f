"""What a channel is told in any order of things, and by workers that die."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from notices import FREE, notice, origin

from inferwatch_streams.notifications.manner import Timing
from inferwatch_streams.notifications.message import Message
from inferwatch_streams.notifications.notice import ACKNOWLEDGED, FIRING, RESOLVED, Notice
from inferwatch_streams.notifications.outbox import Outbox
from inferwatch_streams.notifications.told_note import NO_NOTE, ToldNote, written

AT_ONCE = Timing()
STATES = st.sampled_from([FIRING, ACKNOWLEDGED, RESOLVED])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), STATES, st.booleans()),
        st.sampled_from(["due", "finish"]),
    ),
    max_size=60,
)


class Channel:
    """Sends what an outbox has, several at once, and keeps what it told.

    Attributes:
        outbox: The outbox.
        told: All that was sent, of each subject in order.
        newest: The newest notice of each subject.
    """

    def __init__(self, *, one_by_one: bool) -> None:
        self.outbox = Outbox(replace(FREE, one_by_one=one_by_one))
        self.told: dict[str, list[Notice]] = defaultdict(list)
        self.newest: dict[str, Notice] = {}
        self._flying: list[Message] = []
        self._now = 0.0

    def step(self, number: int, step: object) -> None:
        """Take the next step."""
        self._now += 1.0
        if isinstance(step, tuple):
            subject, state, grouped = step
            self.newest[subject] = notice(subject, state, number)
            group = "g" if grouped else subject
            self.outbox.add(self.newest[subject], group, AT_ONCE, self._now)
        elif step == "finish" and self._flying:
            self.outbox.finish(self._flying.pop(0), self._now)
        elif step == "due" and (message := self.outbox.due(self._now)) is not None:
            self._flying.append(message)
            for one in message.notices:
                self.told[one.subject].append(one)


@pytest.mark.parametrize("one_by_one", [False, True])
@settings(deadline=None)
@given(steps=STEPS)
def test_no_order_of_things_tells_twice_or_out_of_order(
    *, steps: list[object], one_by_one: bool
) -> None:
    """Each id once, each subject's in order, an end only after a beginning, nothing forgotten."""
    channel = Channel(one_by_one=one_by_one)
    for number, step in enumerate([*steps, *["due", "finish"] * 80]):
        channel.step(number, step)
    assert list(channel.outbox.unsettled()) == []
    for subject, notices in channel.told.items():
        numbers = [one.at for one in notices]
        assert numbers == sorted(set(numbers))
        states = [one.state == RESOLVED for one in notices]
        assert not any(before and after for before, after in pairwise([True, *states]))
        last = channel.newest[subject]
        assert notices[-1].state == RESOLVED if last.state == RESOLVED else notices[-1] == last
    assert all(
        one.state == RESOLVED or one.subject in channel.told for one in channel.newest.values()
    )


class Life:
    """A log, a channel, and workers that die: each knows the log and what was committed alone.

    Attributes:
        log: All notices; a notice's place is its offset.
        told: What the channel got, in order.
        read: How far the present worker has read.
        recorded: Ids of what was told when something was committed, and owed no more.
    """

    def __init__(self, *, hung: bool) -> None:
        """Start.

        Args:
            hung: Whether another channel keeps the floor where it is.
        """
        self.log: list[Notice] = []
        self.told: list[Notice] = []
        self.read = 0
        self.recorded: set[str] = set()
        self._hung = hung
        self._floor, self._note = 0, ""
        # Of what the present worker has found: the log's end, and the note.
        self._end, self._found = 0, NO_NOTE
        self._flying: list[Message] = []
        self._outbox = Outbox(FREE)

    def step(self, step: object) -> None:
        """Take the next step."""
        if isinstance(step, tuple):
            subject, state, again = step
            place = origin(len(self.log))
            of = [one for one in self.log if one.subject == subject]
            # An alert is refreshed under the id of its newest change.
            new = (
                replace(of[-1], value=0.5) if of and again else notice(subject, state, place.offset)
            )
            self.log.append(replace(new, origin=place))
        elif step == "read" and self.read < len(self.log):
            self._take()
        elif step == "due" and (message := self._outbox.due(0.0)) is not None:
            self._flying.append(message)
            assert not self.recorded & {one.notice_id for one in message.notices}
            self.told += message.notices
        elif step == "finish" and self._flying:
            self._outbox.finish(self._flying.pop(0), 0.0)
        elif step == "commit" and self.read >= self._found.until:
            waiting = list(self._outbox.unsettled())
            owed = {one.origin.offset for one in waiting if one.origin is not None}
            self._floor = 0 if self._hung else min([*owed, self.read])
            self._note, _ = written({"ops": owed}, self._floor, self.read)
            taken = {one.notice_id for one in self.log[: self.read]}
            self.recorded |= {one.notice_id for one in self.told if one.notice_id in taken} - {
                one.notice_id for one in waiting
            }
        elif step == "kill":
            self._outbox, self._flying, self._end = Outbox(FREE), [], len(self.log)
            for one in self.log[: self._floor]:
                self._outbox.restore(one, one.subject, AT_ONCE, 0.0, 0.0)
            self.read = self._floor
            self._found = ToldNote.read(self._note, self._end)
        elif step == "caught up":
            while self.read < self._end:
                self._take()

    def _take(self) -> None:
        one = self.log[self.read]
        if self.read < self._end:
            told = self._found.told("ops", self.read)
            self._outbox.resume(one, one.subject, AT_ONCE, 0.0, 0.0, told=told)
        else:
            self._outbox.add(one, one.subject, AT_ONCE, 0.0)
        self.read += 1


FIRES, ENDS, REFRESHED = ("a", FIRING, False), ("a", RESOLVED, False), ("a", FIRING, True)
COMES_AND_GOES = [FIRES, "read", "due", "finish", ENDS, FIRES, ENDS]
UNNEEDED = [*COMES_AND_GOES, "read", "read", "read", "commit", "kill"]


@settings(deadline=None, max_examples=300)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.sampled_from("ab"), STATES, st.booleans()),
            st.sampled_from(["read", "due", "finish", "commit", "kill", "caught up"]),
        ),
        max_size=50,
    ),
    hung=st.booleans(),
)
# Told and not recorded, and ended before the next began.
@example(steps=[FIRES, "read", "due", ENDS, "kill"], hung=False)
# Refreshed while it waits.
@example(steps=[FIRES, "read", REFRESHED, "read", "commit", "kill"], hung=False)
# Its end is owed, what came after that is not.
@example(steps=UNNEEDED, hung=True)
# Likewise, of one that tells before it has read on, and dies.
@example(steps=[*UNNEEDED, "read", "read", "due", "finish", "commit", "kill"], hung=False)
def test_workers_that_die_leave_nobody_with_the_wrong_belief(
    *, steps: list[object], hung: bool
) -> None:
    """At the end people believe of each subject what is so, and heard once what was recorded."""
    life = Life(hung=hung)
    for step in [*steps, *["read", "due", "finish"] * 60, "commit"]:
        life.step(step)
    assert life.read == len(life.log)
    for subject in {one.subject for one in life.log}:
        newest = [one for one in life.log if one.subject == subject][-1]
        told = [one for one in life.told if one.subject == subject]
        if newest.state != RESOLVED:
            assert told[-1].notice_id == newest.notice_id
        elif told:
            assert told[-1].state == RESOLVED
