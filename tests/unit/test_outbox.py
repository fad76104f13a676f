"""What a channel is told, and when: the plan without any channel."""

from dataclasses import replace

from notices import FREE, notice, origin

from inferwatch_streams.notifications.history import GoingOn
from inferwatch_streams.notifications.manner import Limit, Timing
from inferwatch_streams.notifications.message import Message
from inferwatch_streams.notifications.notice import ACKNOWLEDGED, FIRING, RESOLVED, Notice
from inferwatch_streams.notifications.outbox import Outbox

GROUPED = Timing(group_wait=30.0, group_interval=300.0, repeat_interval=3600.0)
AT_ONCE = Timing()


def ids(told: Message | None) -> list[str]:
    """Return the ids that a message tells; none of no message."""
    return [] if told is None else [one.notice_id for one in told.notices]


def tell(outbox: Outbox, now: float) -> list[str]:
    """Send what is due and say that it arrived."""
    told = outbox.due(now)
    if told is not None:
        outbox.finish(told, now)
    return ids(told)


def add(outbox: Outbox, *notices: Notice, now: float = 0.0, timing: Timing = AT_ONCE) -> None:
    """Add notices to the group g."""
    for one in notices:
        outbox.add(one, "g", timing, now)


def test_a_group_is_told_together_after_its_wait() -> None:
    """What comes within the wait is in the first message."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"), timing=GROUPED)
    add(outbox, notice("b"), now=20.0, timing=GROUPED)
    assert tell(outbox, 29.9) == []
    assert tell(outbox, 30.0) == ["a-firing-1", "b-firing-1"]
    assert tell(outbox, 31.0) == []


def test_a_change_of_a_told_group_waits_for_its_interval() -> None:
    """Counted from the last message."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"), timing=GROUPED)
    assert tell(outbox, 30.0)
    add(outbox, notice("b"), now=40.0, timing=GROUPED)
    assert tell(outbox, 329.0) == []
    assert tell(outbox, 330.0) == ["b-firing-1"]


def test_what_goes_on_is_said_again_with_ids_of_its_own() -> None:
    """At every repeat interval, until somebody takes it."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"), timing=GROUPED)
    assert tell(outbox, 30.0)
    again = outbox.due(3630.0)
    assert again is not None
    assert (again.message_id, again.repeat) == ("a-firing-1/1", 1)
    outbox.finish(again, 3630.0)
    third = outbox.due(7230.0)
    assert third is not None
    assert third.message_id == "a-firing-1/2"
    outbox.finish(third, 7230.0)
    add(outbox, notice("a", ACKNOWLEDGED), now=7231.0, timing=GROUPED)
    assert tell(outbox, 7530.0) == ["a-acknowledged-1"]
    assert outbox.due(1e9) is None


def test_a_restart_goes_on_with_the_repeats() -> None:
    """Neither at once nor anew from the beginning, and under the ids that they would have had."""
    outbox = Outbox(FREE)
    outbox.restore(notice("a"), "g", GROUPED, now=100.0, age=3600.0 + 1800.0)
    assert outbox.due(1899.0) is None
    again = outbox.due(1900.0)
    assert again is not None
    assert again.message_id == "a-firing-1/2"


def test_what_ended_before_it_was_told_is_not_told() -> None:
    """Neither that it began nor that it ended; the rest of its group is."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"), notice("b"), notice("a", RESOLVED), timing=GROUPED)
    assert tell(outbox, 30.0) == ["b-firing-1"]
    assert list(outbox.unsettled()) == []


def test_what_may_have_been_told_is_told_with_its_end() -> None:
    """A process before this one may have died between telling and recording."""
    outbox = Outbox(FREE)
    for one in (notice("a"), notice("a", RESOLVED)):
        outbox.add(one, "g", AT_ONCE, 0.0, maybe_told=True)
    assert tell(outbox, 0.0) == ["a-firing-1", "a-resolved-1"]
    # The next one is of this process alone.
    add(outbox, notice("a", number=2), notice("a", RESOLVED, 2))
    assert tell(outbox, 1.0) == []


def test_what_was_recorded_as_told_is_not_told_again() -> None:
    """Its end is; and what was not needed after something that is still owed is not made up."""
    outbox = Outbox(FREE)

    def resume(one: Notice, *, told: bool) -> None:
        outbox.resume(one, one.subject, AT_ONCE, 0.0, 1.0, told=told)

    resume(notice("a"), told=True)
    resume(notice("b"), told=True)
    resume(notice("b", RESOLVED), told=False)
    resume(notice("b", number=2), told=True)
    resume(notice("b", RESOLVED, 3), told=True)
    assert tell(outbox, 0.0) == ["b-resolved-1"]
    assert (outbox.knows("a"), outbox.knows("b")) == (True, False)
    add(outbox, notice("a", RESOLVED, 2), now=1.0)
    assert tell(outbox, 1.0) == ["a-resolved-2"]
    assert tell(outbox, 2.0) == []


def test_a_resolve_waits_for_its_firing_to_arrive() -> None:
    """Whatever is on its way, the next of its group waits for it."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"))
    firing = outbox.due(0.0)
    assert firing is not None
    add(outbox, notice("a", RESOLVED), now=1.0)
    assert outbox.due(1.0) is None
    assert {one.notice_id for one in outbox.unsettled()} == {"a-firing-1", "a-resolved-1"}
    outbox.finish(firing, 2.0)
    assert tell(outbox, 2.0) == ["a-resolved-1"]
    assert not outbox.knows("a")


def test_another_group_does_not_wait_for_one_that_is_on_its_way() -> None:
    """Up to the channel's most messages at once."""
    outbox = Outbox(replace(FREE, in_flight=2))
    for subject in "abc":
        outbox.add(notice(subject), subject, AT_ONCE, 0.0)
    first, second, third = (outbox.due(0.0) for _ in range(3))
    assert first is not None
    assert (ids(second), third) == (["b-firing-1"], None)
    outbox.finish(first, 0.0)
    assert ids(outbox.due(0.0)) == ["c-firing-1"]


def test_what_is_silenced_before_it_was_told_is_not_told() -> None:
    """Nor that it ended; when the silence ends before it does, it is."""
    outbox = Outbox(FREE)
    muted = notice("a", muted=True)
    add(outbox, notice("a"), muted, timing=GROUPED)
    assert tell(outbox, 30.0) == []
    add(outbox, notice("a"), now=31.0, timing=GROUPED)
    assert tell(outbox, 61.0) == ["a-firing-1"]
    silenced = Outbox(FREE)
    add(silenced, muted, notice("a", RESOLVED, muted=True))
    assert tell(silenced, 0.0) == []
    assert not silenced.knows("a")


def test_what_got_worse_and_was_inhibited_before_that_was_told_is_told_after() -> None:
    """Once, under the id that it had; what was told before it was inhibited is not told again."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"), timing=GROUPED)
    assert tell(outbox, 30.0) == ["a-firing-1"]
    worse = notice("a", number=2)
    add(outbox, worse, replace(worse, muted=True), now=31.0, timing=GROUPED)
    assert tell(outbox, 400.0) == []
    add(outbox, worse, worse, now=401.0, timing=GROUPED)
    assert tell(outbox, 800.0) == ["a-firing-2"]
    add(outbox, replace(worse, muted=True), worse, now=801.0, timing=GROUPED)
    assert tell(outbox, 1200.0) == []


def test_whoever_heard_that_it_began_hears_that_it_ended() -> None:
    """Also under a silence, which keeps repeats away."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"), timing=GROUPED)
    assert tell(outbox, 30.0)
    add(outbox, notice("a", muted=True), now=31.0, timing=GROUPED)
    assert outbox.due(1e9) is None
    add(outbox, notice("a", RESOLVED), now=32.0, timing=GROUPED)
    assert tell(outbox, 330.0) == ["a-resolved-1"]


def test_a_record_that_comes_again_is_told_once() -> None:
    """Refreshes repeat an id, with newer values until it is told."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"), notice("a", value=0.5))
    told = outbox.due(0.0)
    assert told is not None
    assert [one.value for one in told.notices] == [0.5]
    outbox.finish(told, 0.0)
    add(outbox, notice("a", value=0.7))
    assert tell(outbox, 0.0) == []


def test_a_record_that_comes_again_frees_no_offset() -> None:
    """Until it is told, what was first read of it is what a next process has to read again."""
    outbox = Outbox(FREE)
    add(outbox, notice("a", origin=origin(5)), notice("a", value=0.5, origin=origin(8)))
    (waiting,) = outbox.unsettled()
    assert (waiting.origin, waiting.value) == (origin(5), 0.5)


def test_one_that_fires_anew_is_told_anew() -> None:
    """The end of the last time comes first, and what is over before it is told goes."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"))
    assert tell(outbox, 0.0)
    add(outbox, notice("a", RESOLVED), notice("a", number=2))
    add(outbox, notice("a", RESOLVED, 3), notice("a", number=4))
    assert tell(outbox, 1.0) == ["a-resolved-1", "a-firing-4"]


def test_alerts_one_by_one_are_told_in_order() -> None:
    """For receivers of one alert a message."""
    outbox = Outbox(replace(FREE, one_by_one=True))
    add(outbox, notice("a"))
    assert tell(outbox, 0.0)
    add(outbox, notice("a", RESOLVED), notice("a", number=2), notice("a", ACKNOWLEDGED, 3))
    told = [tell(outbox, 1.0) for _ in range(4)]
    assert told == [["a-resolved-1"], ["a-firing-2"], ["a-acknowledged-3"], []]


def test_a_limit_has_messages_wait_and_the_worst_go_first() -> None:
    """Those that wait of one group are told in one message."""
    outbox = Outbox(replace(FREE, limit=Limit(2, 60.0)))
    for subject in "abcd":
        severity = "critical" if subject == "d" else "low"
        outbox.add(notice(subject, severity=severity), subject, AT_ONCE, 0.0)
    assert [tell(outbox, 0.0) for _ in range(3)] == [["d-firing-1"], ["a-firing-1"], []]
    assert tell(outbox, 59.9) == []
    assert [tell(outbox, 60.0) for _ in range(3)] == [["b-firing-1"], ["c-firing-1"], []]


def test_a_channel_that_asks_to_wait_is_left_alone() -> None:
    """All of its groups wait."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"))
    outbox.hold(10.0)
    assert outbox.due(9.9) is None
    assert tell(outbox, 10.0) == ["a-firing-1"]
    add(outbox, notice("b"), now=11.0)
    outbox.hold(1000.0)
    assert outbox.due(12.0) is None
    # It asked as it was configured then.
    outbox.change(FREE)
    assert tell(outbox, 12.0) == ["b-firing-1"]


def test_a_mirror_shows_all_that_holds_and_says_it_again() -> None:
    """Acknowledged and silenced alerts too: the other side keeps what is not said again as over."""
    outbox = Outbox(replace(FREE, mirrors=True))
    timing = Timing(repeat_interval=60.0)
    add(outbox, notice("a"), notice("b"), timing=timing)
    assert tell(outbox, 0.0) == ["a-firing-1", "b-firing-1"]
    outbox.note(notice("a", ACKNOWLEDGED))
    add(outbox, notice("b", muted=True), notice("c"), now=1.0, timing=timing)
    told = outbox.due(1.0)
    assert told is not None
    assert (ids(told), {one.subject for one in told.active}) == (["c-firing-1"], {"a", "b", "c"})
    outbox.finish(told, 1.0)
    again = outbox.due(61.0)
    assert again is not None
    assert {one.subject for one in again.notices} == {"a", "b", "c"}


def test_a_subject_that_is_gone_is_told_no_more() -> None:
    """Its record was removed, or its end is not for this channel."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"), notice("b"))
    outbox.forget("a")
    outbox.note(notice("b", RESOLVED))
    assert tell(outbox, 0.0) == []


def flapping(state: str, number: int) -> Notice:
    """Return a change that people are not to hear of, as the alert comes and goes."""
    return notice("a", state, number, muted=True)


def test_one_that_comes_and_goes_is_told_as_it_is_once_it_is_calm() -> None:
    """Its ends meanwhile are not told: whoever heard that it fires is right when it does."""
    outbox = Outbox(FREE)
    add(outbox, notice("a"))
    assert tell(outbox, 0.0) == ["a-firing-1"]
    for number in range(2, 5):
        add(outbox, flapping(RESOLVED, number), flapping(FIRING, number))
        outbox.note(flapping(RESOLVED, number))
    assert outbox.due(1e9) is None
    add(outbox, notice("a", RESOLVED, 9))
    assert tell(outbox, 10.0) == ["a-resolved-9"]
    assert not outbox.knows("a")


def test_one_that_comes_and_goes_is_known_after_a_restart() -> None:
    """What people believe is in the log, however often it came and went since."""
    going_on = GoingOn()
    for one in (
        notice("a"), flapping(RESOLVED, 2), flapping(FIRING, 3), flapping(RESOLVED, 4),
        flapping(RESOLVED, 5), notice("b", RESOLVED, muted=True),
    ):  # fmt: skip
        going_on.add(one)
    outbox = Outbox(FREE)
    for one in going_on.notices():
        outbox.restore(one, "g", AT_ONCE, 0.0, 0.0)
    assert len(going_on.notices()) == 2
    assert not outbox.knows("b")
    add(outbox, notice("a", RESOLVED, 9))
    assert tell(outbox, 10.0) == ["a-resolved-9"]
