"""Dead letters of notices that no channel could be told."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.columnar import dead_letters
from inferwatch_schemas.errors import EmitError, EncodeError
from inferwatch_schemas.topics import ALERTS, DEAD_LETTERS, INCIDENTS
from inferwatch_schemas.wire import Encoder, cloudevents_headers

if TYPE_CHECKING:
    from inferwatch_schemas.columnar.waits import Waits
    from inferwatch_schemas.emitter import Emitter
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.notifications.message import Answer
    from inferwatch_streams.notifications.notice import Notice, Origin

log = structlog.get_logger(__name__)

REASON: Final = "undelivered"
#: What is waited for meanwhile.
ACKNOWLEDGEMENT: Final = "Kafka to acknowledge dead letters"
RETRY_SECONDS: Final = 1.0
MAX_TITLE: Final = 200


class Undelivered:
    """Writes them, and knows when the broker has them."""

    def __init__(self, emitter: Emitter, registry: Registry, group: str, waits: Waits) -> None:
        self._emitter = emitter
        self._encoder = Encoder(dead_letters.SCHEMA, registry)
        self._sources = {
            name: Encoder(name, registry) for name in (*ALERTS.schemas, *INCIDENTS.schemas)
        }
        self._group = group
        self._waits = waits
        # What one has sent, another's settling would take for its own.
        self._one = asyncio.Lock()

    async def bury(self, channel: str, notice: Notice, answer: Answer, attempts: int) -> None:
        """Write the dead letter of a notice, until the broker has it."""
        if notice.origin is None:
            return
        place = notice.origin
        said = detail(notice, channel, answer, attempts)
        record = {
            "source_topic": place.topic,
            "topic_id": place.topic_id,
            "partition": place.partition,
            "offset": place.offset,
            "record_time": place.timestamp,
            "reason": f"{REASON}:{channel}:{answer.status}",
            "detail": said,
            "schema_id": self._sources[place.schema].schema_id,
            "key": place.key.encode(),
            "value": self._value(place),
            "headers": [],
            # As each reader reports a record once.
            "reader": f"{self._group}/{channel}",
            "found_at": int(time.time() * 1_000_000),
        }
        letter = self._encoder.encode(record)
        identity = dead_letters.event_id(place.topic_id, place.partition, place.offset)
        headers = cloudevents_headers(
            dead_letters.SCHEMA, f"{identity}/{channel}", f"inferwatch/{self._group}"
        )
        async with self._one:
            with self._waits.during(ACKNOWLEDGEMENT):
                while True:
                    try:
                        self._emitter.send(DEAD_LETTERS.name, place.topic.encode(), letter, headers)
                        await self._emitter.settle()
                    except EmitError as error:
                        log.warning("dead letter not acknowledged, tried again", error=str(error))
                        await asyncio.sleep(RETRY_SECONDS)
                    else:
                        return

    def _value(self, origin: Origin) -> bytes | None:
        """The record's value anew; None where it is of a newer version than this program."""
        try:
            return self._sources[origin.schema].encode(origin.record)
        except EncodeError:
            return None


def detail(notice: Notice, channel: str, answer: Answer, attempts: int) -> str:
    """The reason in a sentence: which channel was not told what, and what it said."""
    said = f": {answer.detail}" if answer.detail else ""
    return (
        f"Channel {channel} was not told that {notice.title[:MAX_TITLE]!r} is {notice.state}; "
        f"after {attempts} {'attempt' if attempts == 1 else 'attempts'} it answered "
        f"{answer.status}{said}. Notification {notice.notice_id}."
    )
