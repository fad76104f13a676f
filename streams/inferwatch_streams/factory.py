"""Builds the Faust app of the aggregation from its settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import faust

from inferwatch_schemas.columnar.watchdog import Watchdog
from inferwatch_schemas.emitter import Emitter
from inferwatch_schemas.faust import faust_settings
from inferwatch_schemas.registry import open_registry
from inferwatch_schemas.topics import AGGREGATES
from inferwatch_streams import metrics
from inferwatch_streams.aggregation import Aggregation
from inferwatch_streams.rows.sender import RowSender

if TYPE_CHECKING:
    from inferwatch_streams.settings import AggregationSettings


class AggregationApp(faust.App):
    """The Faust app, with what its transport asks for.

    Attributes:
        processor: Takes the chunks.
        watchdog: Tells which partitions are stalled.
        rows: Sends aggregate rows.
    """

    processor: Aggregation
    watchdog: Watchdog
    rows: RowSender

    async def on_shutdown(self) -> None:
        """Close the connection of the rows, when all that might send has ended."""
        await super().on_shutdown()
        await self.rows.close()


def create_app(settings: AggregationSettings) -> AggregationApp:
    """The aggregation as a Faust app, not started.

    Raises:
        SchemasError: The registry does not answer, or does not know our schemas.
        StreamsError: A codec is missing, or a package is of the wrong version.
    """
    rows = RowSender(settings.kafka, settings.group, AGGREGATES.name)
    aggregation = Aggregation(
        settings,
        open_registry(settings.registry_url),
        Emitter(settings.kafka, settings.group),
        rows,
    )
    app = AggregationApp(
        settings.group,
        **faust_settings(
            settings.kafka,
            commit_seconds=settings.commit_seconds,
            session_timeout_seconds=settings.session_timeout_seconds,
            fetch_bytes=settings.fetch_bytes,
        ),
    )
    app.processor = aggregation
    app.watchdog = Watchdog(
        settings.group, settings.stall_seconds, metrics.WATCHDOG, aggregation.waits, time.monotonic
    )
    app.rows = rows
    sources = app.topic(
        *aggregation.topics, key_serializer="raw", value_serializer="raw", acks=False
    )

    @app.agent(sources, name="aggregation")
    async def count(chunks: Any) -> None:
        async for chunk in chunks:
            await aggregation.process(chunk)

    async def flush() -> None:
        await aggregation.flush()
        metrics.DELIVERY_GAPS.set(aggregation.cursors.gaps)

    app.timer(settings.flush_seconds)(flush)
    return app
