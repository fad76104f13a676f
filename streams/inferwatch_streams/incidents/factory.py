"""Builds the Faust app of the incidents from its settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import faust
import structlog

from inferwatch_schemas.columnar.watchdog import Watchdog
from inferwatch_schemas.faust import faust_settings
from inferwatch_schemas.registry import open_registry
from inferwatch_schemas.topics import INCIDENTS
from inferwatch_streams.incidents import metrics
from inferwatch_streams.incidents.role import IncidentsRole
from inferwatch_streams.incidents.runner import Runner
from inferwatch_streams.leading.assignor import OneLeader
from inferwatch_streams.leading.state_topic import StateTopic

if TYPE_CHECKING:
    from inferwatch_streams.incidents.reloading import PolicyFile
    from inferwatch_streams.incidents.response_action import Meter
    from inferwatch_streams.incidents.settings import IncidentsSettings
    from inferwatch_streams.leading.record_processor import RecordProcessor

log = structlog.get_logger(__name__)


class IncidentsApp(faust.App):
    """The Faust app, with what its transport asks for.

    Attributes:
        processor: Takes the chunks.
        watchdog: Tells which partitions are stalled.
        group_assignor: Gives all partitions to one worker.
        role: What the app runs.
        incidents: Their topic.
    """

    processor: RecordProcessor
    watchdog: Watchdog
    group_assignor: OneLeader
    role: IncidentsRole
    incidents: StateTopic

    async def on_shutdown(self) -> None:
        """Begin no more actions, and follow the incidents' topic no more."""
        await super().on_shutdown()
        self.role.responder.stop()
        self.incidents.close()


def create_app(
    settings: IncidentsSettings, file: PolicyFile, meter: Meter | None = None
) -> IncidentsApp:
    """The incidents as a Faust app, not started.

    Args:
        settings: How to reach the brokers, and how often things are done.
        file: What is decided in advance.
        meter: Measures what actions are to bring down.

    Raises:
        SchemasError: The registry does not answer, or does not know our schemas.
        StreamsError: A codec is missing, or a package is of the wrong version.
    """
    registry = open_registry(settings.registry_url)
    app = IncidentsApp(
        settings.group,
        **faust_settings(
            settings.kafka,
            commit_seconds=settings.commit_seconds,
            session_timeout_seconds=settings.session_timeout_seconds,
            fetch_bytes=settings.fetch_bytes,
        ),
    )
    app.incidents = StateTopic(
        settings.kafka,
        registry,
        INCIDENTS,
        "incidents",
        take_over_seconds=settings.take_over_seconds,
    )
    role = IncidentsRole(
        settings=settings,
        registry=registry,
        policy=file.decided.policy,
        topic=app.incidents,
        runner=Runner(file.decided.actions, meter),
        look=file.look,
    )
    app.role = role
    app.processor = role.processor
    app.watchdog = Watchdog(
        settings.group, settings.stall_seconds, metrics.WATCHDOG, role.processor.waits,
        time.monotonic,
    )  # fmt: skip
    app.group_assignor = OneLeader()
    sources = app.topic(
        *role.processor.topics, key_serializer="raw", value_serializer="raw", acks=False
    )

    @app.agent(sources, name="incidents")
    async def take(chunks: Any) -> None:
        async for chunk in chunks:
            await role.processor.process(chunk)

    async def act() -> None:
        try:
            await role.act()
        except Exception:
            # The next second is another attempt.
            metrics.FAILURES.inc()
            log.exception("a tick failed")

    app.timer(settings.tick_seconds)(act)
    return app
