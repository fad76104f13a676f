"""Builds the Faust app of the role notifications from its settings."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import faust
import structlog

from inferwatch_schemas.columnar.watchdog import Watchdog
from inferwatch_schemas.emitter import Emitter
from inferwatch_schemas.faust import faust_settings
from inferwatch_schemas.registry import open_registry
from inferwatch_streams.leading.assignor import OneLeader
from inferwatch_streams.notifications import metrics
from inferwatch_streams.notifications.dispatch import Dispatch
from inferwatch_streams.notifications.notifier import LOOK_SECONDS, Notifier
from inferwatch_streams.notifications.reloading import NotificationsFile
from inferwatch_streams.notifications.undelivered import Undelivered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_schemas.columnar.chunk import TopicPartition
    from inferwatch_streams.leading.record_processor import RecordProcessor
    from inferwatch_streams.notifications.settings import NotificationsSettings

log = structlog.get_logger(__name__)


class NotificationsApp(faust.App):
    """The Faust app, with what its transport asks for.

    Attributes:
        processor: Takes the chunks.
        watchdog: Tells which partitions are stalled.
        group_assignor: Gives all partitions to one worker.
        commit_notes: What is committed beside the floors.
        notifier: Tells people.
    """

    processor: RecordProcessor
    watchdog: Watchdog
    group_assignor: OneLeader
    commit_notes: Callable[[], Mapping[TopicPartition, str]]
    notifier: Notifier

    async def on_shutdown(self) -> None:
        """Let go of the channels, when all that might send has ended."""
        await super().on_shutdown()
        await self.notifier.close()


def create_app(settings: NotificationsSettings) -> NotificationsApp:
    """The role notifications as a Faust app, not started.

    Raises:
        SchemasError: The registry does not answer, or does not know our schemas.
        StreamsError: The file of notifications cannot be used.
    """
    if settings.file is None:
        log.info("INFERWATCH_NOTIFICATIONS_FILE is not set: nobody is told of alerts")
    file = NotificationsFile(settings.file, os.environ)
    registry = open_registry(settings.registry_url)
    emitter = Emitter(settings.kafka, settings.group)

    def dispatch(processor: RecordProcessor) -> Dispatch:
        undelivered = Undelivered(emitter, registry, settings.group, processor.waits)
        return Dispatch(file.configuration, undelivered)

    notifier = Notifier(settings, registry, dispatch, file.look)
    app = NotificationsApp(
        settings.group,
        **faust_settings(
            settings.kafka,
            commit_seconds=settings.commit_seconds,
            session_timeout_seconds=settings.session_timeout_seconds,
            fetch_bytes=settings.fetch_bytes,
        ),
    )
    processor = notifier.processor
    app.notifier = notifier
    app.processor = processor
    app.group_assignor = OneLeader()
    app.commit_notes = processor.notes
    app.watchdog = Watchdog(
        settings.group, settings.stall_seconds, metrics.WATCHDOG, processor.waits, time.monotonic
    )
    topics = app.topic(*processor.topics, key_serializer="raw", value_serializer="raw", acks=False)

    @app.agent(topics, name="notifications")
    async def tell(chunks: Any) -> None:
        async for chunk in chunks:
            await processor.process(chunk)

    app.timer(settings.tick_seconds)(notifier.tick)
    app.timer(LOOK_SECONDS)(notifier.look)
    return app
