"""A test of one channel: it is told that something fires, and that it is over."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from inferwatch_streams.notifications.attempt import attempt
from inferwatch_streams.notifications.message import Message, message_id
from inferwatch_streams.notifications.notice import ALERT, FIRING, RESOLVED, Notice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from inferwatch_streams.notifications.configuration import ChannelSettings
    from inferwatch_streams.notifications.message import Answer

RULE: Final = "NotificationTest"
HELD_MICROS: Final = 60_000_000


def notices(severity: str, at: int) -> tuple[Notice, Notice]:
    """That a test fires, and that it is over, at a time in microseconds since 1970."""
    identity = secrets.token_hex(8)

    def notice(state: str) -> Notice:
        return Notice(
            notice_id=f"{identity}-{state}",
            kind=ALERT,
            subject=identity,
            state=state,
            severity=severity,
            name=RULE,
            title="This is a test of Inferwatch's notifications",
            labels=(("service", "inferwatch-test"),),
            group=identity,
            at=at,
            since=at - HELD_MICROS,
            until=at if state == RESOLVED else None,
            value=0.07,
            threshold=0.05,
            samples=1000,
            description="Nothing is wrong: somebody has run inferwatch notify test.",
        )

    return notice(FIRING), notice(RESOLVED)


async def try_channel(
    settings: ChannelSettings, severity: str, at: int
) -> AsyncIterator[tuple[str, Answer]]:
    """Tell one channel of a test, once each: what was told, and what it answered."""
    channel = settings.open()
    try:
        for notice in notices(severity, at):
            message = Message(
                message_id=message_id([notice], 0),
                group=notice.subject,
                notices=(notice,),
                active=(notice,) if notice.state == FIRING else (),
                repeat=0,
                deadline=0.0,
            )
            words = settings.templates.words(message)
            yield notice.state, await attempt(settings.name, channel, message, words)
    finally:
        await channel.close()
