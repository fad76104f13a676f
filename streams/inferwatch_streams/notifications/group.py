"""A group of what one channel is told together: its members, and what is still to be told. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from inferwatch_streams.notifications.manner import NEVER
from inferwatch_streams.notifications.message import severity_rank
from inferwatch_streams.notifications.notice import ACKNOWLEDGED, FIRING, RESOLVED, UPDATED

if TYPE_CHECKING:
    from inferwatch_streams.notifications.manner import Timing
    from inferwatch_streams.notifications.message import Message
    from inferwatch_streams.notifications.notice import Notice


@dataclass(slots=True)
class Member:
    """One alert or incident of a group.

    Attributes:
        latest: Its newest notice.
        told: Whether the last that people were told is that it holds.
        said: Id of the last notice that people were told, or that is on its way to them.
        maybe_told: Whether a process before this one may have told so, and not recorded it.
        pending: What is still to be told, in order.
    """

    latest: Notice
    told: bool = False
    said: str = ""
    maybe_told: bool = False
    pending: list[Notice] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """What is told together, and when."""

    key: str
    timing: Timing
    members: dict[str, Member] = field(default_factory=dict)
    # Of whom something is to be told; a dictionary keeps the order in which they came.
    waiting: dict[str, Member] = field(default_factory=dict)
    ready: float = NEVER
    sent_at: float | None = None
    repeats: int = 0
    flying: Message | None = None

    def take(self, member: Member, notice: Notice, *, maybe_told: bool) -> None:
        """Take in the next notice of a member: it is to be told, or is not needed.

        Args:
            member: One of its members.
            notice: It.
            maybe_told: Whether a process before this one may have told it, and not recorded it.
        """
        # What was silenced or inhibited before it was said may come back under the same id.
        new = notice.notice_id not in {member.said, *(one.notice_id for one in member.pending)}
        member.latest = notice
        if flaps(notice):
            # What was said, or is about to be, stands until it is calm.
            pass
        elif notice.state == RESOLVED:
            self._resolve(member, notice)
        elif notice.muted:
            # Silenced before it was said.
            member.pending = [one for one in member.pending if one.state == RESOLVED]
        elif new:
            _append(member, notice)
        else:
            # Its offset stays that of the first record: what lies below the committed one was told.
            member.pending = [
                replace(notice, origin=one.origin) if one.notice_id == notice.notice_id else one
                for one in member.pending
            ]
        member.maybe_told |= maybe_told and not notice.muted and notice.state != RESOLVED

    def flies(self, subject: str) -> bool:
        """Whether something of a subject is on its way."""
        return self.flying is not None and any(
            one.subject == subject for one in self.flying.notices
        )

    def rank(self) -> int:
        """How bad the worst is that waits."""
        waiting = self.waiting.values()
        return max((severity_rank(one.latest.severity) for one in waiting), default=0)

    def _stands(self, member: Member) -> bool:
        """Whether people believe that it holds, once they have what is on its way to them."""
        on_its_way = [] if self.flying is None else self.flying.notices
        said = [one for one in on_its_way if one.subject == member.latest.subject]
        return said[-1].state != RESOLVED if said else member.told

    def _resolve(self, member: Member, notice: Notice) -> None:
        """Add that it ended, unless people never heard that it began."""
        if not member.maybe_told:
            # What was not said yet is not said any more.
            member.pending = [one for one in member.pending if one.state == RESOLVED]
        last = member.pending[-1].state if member.pending else None
        if last is None and not (member.maybe_told or self._stands(member)):
            return
        if last != RESOLVED:
            member.pending.append(notice)


def flaps(notice: Notice) -> bool:
    """Whether it ended and people are not to hear of that: it comes and goes, or never was told."""
    return notice.state == RESOLVED and notice.muted


def nobody_has_it(notice: Notice) -> bool:
    """Whether it fires, and nobody has taken or silenced it."""
    return notice.state == FIRING and not notice.muted


def _append(member: Member, notice: Notice) -> None:
    """Add to what is to be told; of updates of an incident, the newest says it all."""
    if notice.state in (UPDATED, ACKNOWLEDGED):
        member.pending = [one for one in member.pending if one.state != notice.state]
    member.pending.append(notice)
