"""One attempt to send a message, whatever a channel may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from inferwatch_streams.notifications.message import FAILED, Answer

if TYPE_CHECKING:
    from inferwatch_streams.notifications.channels.kinds import Channel
    from inferwatch_streams.notifications.message import Message
    from inferwatch_streams.notifications.templates import Words

log = structlog.get_logger(__name__)


async def attempt(name: str, channel: Channel, message: Message, words: Words) -> Answer:
    """Send a message to the channel of a name once; nothing is raised, and no secret shown."""
    try:
        return await channel.send(message, words)
    except Exception as error:  # noqa: BLE001  # a defect of one channel is not the others' matter
        # Its text may hold anything, secrets too.
        log.error("channel failed", channel=name, error=type(error).__name__)  # noqa: TRY400  # likewise
        return Answer(FAILED, "error", f"it failed with {type(error).__name__}")
