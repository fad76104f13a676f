"""What one channel has still to tell, and when: grouping, waits, repeats, limits. Pure.

A group's messages go out one after the other, so that no later change overtakes an earlier one.
Times are seconds of a monotonic clock that is passed in.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from inferwatch_streams.notifications.group import Group, Member, flaps, nobody_has_it
from inferwatch_streams.notifications.manner import NEVER
from inferwatch_streams.notifications.message import Message, message_id
from inferwatch_streams.notifications.notice import RESOLVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inferwatch_streams.notifications.manner import Manner, Timing
    from inferwatch_streams.notifications.notice import Notice


class Outbox:
    """The groups of one channel."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._groups: dict[str, Group] = {}
        # A subject stays in its group: one that another route takes meanwhile is still one.
        self._group_of: dict[str, str] = {}
        # Of what a process before this one left: subjects of which not all was told.
        self._reopened: set[str] = set()
        self._flying = 0
        self._sent: deque[float] = deque()
        self._held_until = 0.0

    def knows(self, subject: str) -> bool:
        """Whether it holds something of a subject."""
        return subject in self._group_of

    def restore(self, notice: Notice, group: str, timing: Timing, now: float, age: float) -> None:
        """Take in a notice that was told before this process began.

        Args:
            notice: It.
            group: Its group.
            timing: Of the group.
            now: The time.
            age: How long ago it was, in seconds of event time.
        """
        if notice.state == RESOLVED and not notice.muted:
            self.forget(notice.subject)
            return
        place, member = self._member(notice, group, timing)
        member.latest = notice
        if notice.muted:
            self._tidy(place, notice.subject)
            return
        member.told, member.said = True, notice.notice_id
        # As if it had been said again at every interval: a restart does not start that anew.
        repeats, into = divmod(max(0.0, age), place.timing.repeat_interval)
        place.repeats = int(repeats) + 1
        place.sent_at = now - into

    def add(  # the last has a default
        self,
        notice: Notice,
        group: str,
        timing: Timing,
        now: float,
        *,
        maybe_told: bool = False,
    ) -> None:
        """Take in a notice: it goes out when its group's time has come, or is not needed.

        Args:
            notice: It.
            group: Its group, unless its subject is in one already.
            timing: Of the group.
            now: The time.
            maybe_told: Whether a process before this one may have told it, and not recorded it. It
                is told again, and that it ended in any case: else it would seem to last for ever.
        """
        place, member = self._member(notice, group, timing)
        place.take(member, notice, maybe_told=maybe_told)
        self._tidy(place, notice.subject)
        self._schedule(place, now)

    def resume(  # noqa: PLR0913  # as add and restore, either of which it comes to
        self, notice: Notice, group: str, timing: Timing, now: float, age: float, *, told: bool
    ) -> None:
        """Take in a notice of which a process before this one may not have recorded all.

        Args:
            notice: It.
            group: See ``restore``.
            timing: Likewise.
            now: Likewise.
            age: Likewise.
            told: Whether that process recorded that it needs to tell it no more.
        """
        # What it did not need after something that it still owed was never told.
        if told and notice.subject not in self._reopened:
            self.restore(notice, group, timing, now, age)
            return
        self._reopened.add(notice.subject)
        self.add(notice, group, timing, now, maybe_told=not told)

    def note(self, notice: Notice) -> None:
        """Take in a notice that this channel is not told of: only what goes on changes."""
        if notice.state == RESOLVED and not notice.muted:
            self.forget(notice.subject)
        elif self.knows(notice.subject):
            place = self._groups[self._group_of[notice.subject]]
            place.members[notice.subject].latest = notice

    def forget(self, subject: str) -> None:
        """Tell nothing more of a subject, which is gone."""
        if self.knows(subject):
            place = self._groups[self._group_of.pop(subject)]
            del place.members[subject]
            place.waiting.pop(subject, None)
            self._tidy(place)

    def due(self, now: float) -> Message | None:
        """The next message that is to be sent now; it is on its way until ``finish``."""
        if self._flying >= self._manner.in_flight or now < self._allowed_at(now):
            return None
        ready = {
            key: at
            for key, place in self._groups.items()
            if place.flying is None and (at := self._due_at(place, now)) is not None
        }
        if not ready:
            return None
        # Where a limit makes some wait, it is not the worst.
        key = min(ready, key=lambda key: (-self._groups[key].rank(), ready[key]))
        place = self._groups[key]
        message = self._message(place, ready[key])
        place.flying = message
        place.ready = NEVER
        for notice in message.notices:
            member = place.members[notice.subject]
            member.said = notice.notice_id
            member.pending = [one for one in member.pending if one.notice_id != notice.notice_id]
            self._tidy(place, notice.subject)
        self._flying += 1
        self._sent.append(now)
        return message

    def finish(self, message: Message, now: float) -> None:
        """It was delivered, or given up; a later one of its group may go."""
        place = self._groups[message.group]
        place.flying = None
        place.sent_at = now
        place.repeats = message.repeat + 1
        self._flying -= 1
        for notice in message.notices:
            member = place.members.get(notice.subject)
            if member is not None:
                member.told = notice.state != RESOLVED
                member.maybe_told &= member.told
        self._tidy(place, *(notice.subject for notice in message.notices))
        self._schedule(place, now)

    def change(self, manner: Manner) -> None:
        """Tell in another manner from now on; what was asked for before the change is forgotten."""
        self._manner = manner
        self._held_until = 0.0

    def retime(self, timing: Timing, now: float) -> None:
        """Say again what holds at other intervals, and at once: the last promised the old one."""
        for place in self._groups.values():
            if place.timing != timing and place.sent_at is not None:
                place.sent_at = now - timing.repeat_interval
            place.timing = timing

    def hold(self, until: float) -> None:
        """Send nothing before a time: the channel asked for it."""
        self._held_until = max(self._held_until, until)

    def abandon(self) -> list[Notice]:
        """Let go of what is not on its way yet, and return it; nothing is due after that."""
        left = [
            one
            for place in self._groups.values()
            for member in place.waiting.values()
            for one in member.pending
        ]
        flying = {key: place for key, place in self._groups.items() if place.flying is not None}
        for place in flying.values():
            place.members.clear()
            place.waiting.clear()
        self._groups, self._group_of = flying, {}
        return left

    def unsettled(self) -> Iterator[Notice]:
        """The notices that were taken in and neither delivered nor given up."""
        for place in self._groups.values():
            if place.flying is not None and not place.flying.repeat:
                yield from place.flying.notices
            for member in place.waiting.values():
                yield from member.pending

    def _member(self, notice: Notice, group: str, timing: Timing) -> tuple[Group, Member]:
        key = self._group_of.setdefault(notice.subject, group)
        place = self._groups.setdefault(key, Group(key, timing))
        return place, place.members.setdefault(notice.subject, Member(notice))

    def _schedule(self, place: Group, now: float) -> None:
        if not place.waiting:
            place.ready = NEVER
        elif place.ready == NEVER:
            wait = place.timing.group_wait
            if place.sent_at is not None:
                wait = max(0.0, place.sent_at + place.timing.group_interval - now)
            place.ready = now + wait

    def _due_at(self, place: Group, now: float) -> float | None:
        """Since when a group's next message is due; None while it is not."""
        if place.ready <= now:
            return place.ready
        again = NEVER if place.sent_at is None else place.sent_at + place.timing.repeat_interval
        return again if again <= now and self._holding(place) else None

    def _holding(self, place: Group) -> tuple[Notice, ...]:
        """What a repeat would say: what was told and still holds, and nobody has taken."""
        return tuple(
            member.latest
            for member in place.members.values()
            if member.told
            and member.latest.state != RESOLVED
            and (self._manner.mirrors or nobody_has_it(member.latest))
        )

    def _message(self, place: Group, due_at: float) -> Message:
        changed = [one for member in place.waiting.values() for one in member.pending]
        changed.sort(key=lambda one: one.at)
        if self._manner.one_by_one:
            changed = changed[:1]
        repeat = 0 if changed else max(1, place.repeats)
        notices = tuple(changed) or self._holding(place)
        active = tuple(
            member.latest
            for member in place.members.values()
            if member.latest.state != RESOLVED and (member.told or member.pending)
        )
        return Message(
            message_id=message_id(notices, repeat),
            group=place.key,
            notices=notices,
            active=active,
            repeat=repeat,
            deadline=due_at + self._manner.give_up_seconds,
        )

    def _tidy(self, place: Group, *subjects: str) -> None:
        """Let go of what has ended and was told, and of a group without members."""
        for subject in subjects:
            member = place.members.get(subject)
            if member is None:
                continue
            if member.pending:
                place.waiting.setdefault(subject, member)
                continue
            place.waiting.pop(subject, None)
            stands = flaps(member.latest) and (member.told or member.maybe_told)
            if member.latest.state == RESOLVED and not stands and not place.flies(subject):
                del place.members[subject]
                del self._group_of[subject]
        if not place.members and place.flying is None:
            self._groups.pop(place.key, None)

    def _allowed_at(self, now: float) -> float:
        limit = self._manner.limit
        while self._sent and self._sent[0] + limit.seconds <= now:
            self._sent.popleft()
        full = len(self._sent) >= limit.messages
        return max(self._held_until, self._sent[0] + limit.seconds if full else 0.0)
