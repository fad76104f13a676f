"""Builds the Faust app of the sink from its settings.

The transport of chunks is found by its scheme, through Faust's registry of transports: this
package does not import it.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any, Final

import faust

from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.sink import metrics
from inferwatch_clickhouse.sink.landing import Landing
from inferwatch_schemas.columnar.watchdog import Watchdog
from inferwatch_schemas.emitter import Emitter
from inferwatch_schemas.faust import faust_settings
from inferwatch_schemas.registry import open_registry

if TYPE_CHECKING:
    from inferwatch_clickhouse.settings import ClickHouseSettings
    from inferwatch_clickhouse.sink.settings import SinkSettings

# An insert that hangs is sent again: the same rows count once.
MAX_ANSWER_SECONDS: Final = 60.0


class SinkApp(faust.App):
    """The Faust app, with what its transport asks for.

    Attributes:
        processor: Takes the chunks.
        watchdog: Tells which partitions are stalled.
    """

    processor: Landing
    watchdog: Watchdog


def create_app(settings: SinkSettings) -> SinkApp:
    """The sink as a Faust app, not started.

    Raises:
        SchemasError: The registry does not answer, or does not know our schemas.
    """
    landing = Landing(
        settings,
        open_registry(settings.registry_url),
        ClickHouse(_impatient(settings.clickhouse)),
        Emitter(settings.kafka, settings.group),
    )
    app = SinkApp(
        settings.group,
        **faust_settings(
            settings.kafka,
            commit_seconds=settings.commit_seconds,
            session_timeout_seconds=settings.session_timeout_seconds,
            fetch_bytes=settings.fetch_bytes,
        ),
    )
    app.processor = landing
    app.watchdog = Watchdog(
        settings.group, settings.stall_seconds, metrics.WATCHDOG, landing.waits, time.monotonic
    )
    everything = app.topic(
        *landing.topics, key_serializer="raw", value_serializer="raw", acks=False
    )

    @app.agent(everything, name="sink")
    async def land(chunks: Any) -> None:
        async for chunk in chunks:
            await landing.process(chunk)

    async def flush() -> None:
        await landing.flush()

    app.timer(settings.flush_seconds)(flush)
    return app


def _impatient(settings: ClickHouseSettings) -> ClickHouseSettings:
    answer_seconds = min(settings.answer_seconds, MAX_ANSWER_SECONDS)
    return dataclasses.replace(settings, answer_seconds=answer_seconds)
