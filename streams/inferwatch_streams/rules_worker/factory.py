"""Builds the Faust app of the rules from its settings."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.types.tuples import TP

from inferwatch_schemas.columnar.watchdog import Watchdog
from inferwatch_schemas.emitter import Emitter
from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.faust import faust_settings
from inferwatch_schemas.registry import open_registry
from inferwatch_schemas.topics import ALERTS
from inferwatch_streams.leading.assignor import OneLeader
from inferwatch_streams.leading.state_topic import StateTopic
from inferwatch_streams.rules_worker import metrics
from inferwatch_streams.rules_worker.alerting import Alerting
from inferwatch_streams.rules_worker.keeping import WindowKeeper
from inferwatch_streams.rules_worker.role import RulesRole
from inferwatch_streams.rules_worker.rulebook import Rulebook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inferwatch_schemas.columnar.chunk import TopicPartition
    from inferwatch_streams.leading.record_processor import RecordProcessor
    from inferwatch_streams.rules.completeness import Gaps
    from inferwatch_streams.rules_worker.settings import RulesSettings

log = structlog.get_logger(__name__)

ENDS_SECONDS: Final = 5.0


class RulesApp(faust.App):
    """The Faust app, with what its transport asks for.

    Attributes:
        processor: Takes the chunks.
        watchdog: Tells which partitions are stalled.
        group_assignor: Gives all partitions to one worker.
        alerts: Their topic.
    """

    processor: RecordProcessor
    watchdog: Watchdog
    group_assignor: OneLeader
    alerts: StateTopic

    async def on_shutdown(self) -> None:
        """Follow the alerts' topic no more."""
        await super().on_shutdown()
        self.alerts.close()


def create_app(settings: RulesSettings, gaps: Gaps | None = None) -> RulesApp:
    """The rules as a Faust app, not started.

    Args:
        settings: What it needs to know.
        gaps: Where missing events are known from; rules of the kind completeness fail without.

    Raises:
        SchemasError: The registry does not answer, or does not know our schemas.
        StreamsError: The rules file cannot be used, a codec is missing, or a package is of the
            wrong version.
    """
    registry = open_registry(settings.registry_url)
    keeper = WindowKeeper(
        settings.kafka,
        registry,
        Emitter(settings.kafka, f"{settings.group}-totals"),
        settings.take_over_seconds,
    )
    rulebook = Rulebook(settings.file)
    keeper.load_ahead()
    app = RulesApp(
        settings.group,
        **faust_settings(
            settings.kafka,
            commit_seconds=settings.commit_seconds,
            session_timeout_seconds=settings.session_timeout_seconds,
            fetch_bytes=settings.fetch_bytes,
        ),
    )

    async def ends(partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        try:
            async with asyncio.timeout(ENDS_SECONDS):
                found = await app.consumer.highwaters(*(TP(*at) for at in partitions))
        except (KafkaError, TimeoutError) as error:
            raise KafkaUnavailableError(f"Kafka does not say where rows end: {error!r}.") from error
        return {(at.topic, at.partition): end for at, end in found.items()}

    app.alerts = StateTopic(
        settings.kafka, registry, ALERTS, "rules", take_over_seconds=settings.take_over_seconds
    )
    alerting = Alerting(app.alerts, time.time)
    role = RulesRole(
        settings=settings,
        registry=registry,
        rulebook=rulebook,
        alerting=alerting,
        keeper=keeper,
        ends=ends,
        gaps=gaps,
    )
    app.processor = role.processor
    app.watchdog = Watchdog(
        settings.group, settings.stall_seconds, metrics.WATCHDOG, role.processor.waits,
        time.monotonic,
    )  # fmt: skip
    app.group_assignor = OneLeader()
    sources = app.topic(
        *role.processor.topics, key_serializer="raw", value_serializer="raw", acks=False
    )

    @app.agent(sources, name="rules")
    async def take(chunks: Any) -> None:
        async for chunk in chunks:
            await role.processor.process(chunk)

    async def act() -> None:
        try:
            await role.act()
        except Exception:
            # The next second is another attempt; the tick was not carried out.
            metrics.FAILURES.labels("").inc()
            log.exception("a tick failed")

    async def begin() -> None:
        # The next tick might be a second away.
        await role.processor.given()
        try:
            await role.processor.ready()
        except Exception:
            # Each tick tries, too.
            log.exception("not begun")

    app.task(begin)
    app.timer(settings.tick_seconds)(act)
    return app
