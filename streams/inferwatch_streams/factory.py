"""Builds the Faust app of the aggregation from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import faust

from inferwatch_schemas.emitter import Emitter
from inferwatch_schemas.faust import faust_settings
from inferwatch_schemas.registry import open_registry
from inferwatch_streams import metrics
from inferwatch_streams.aggregation import Aggregation

if TYPE_CHECKING:
    from inferwatch_streams.settings import AggregationSettings


class AggregationApp(faust.App):
    """The Faust app, with what its transport asks for.

    Attributes:
        processor: Takes the chunks.
    """

    processor: Aggregation


def create_app(settings: AggregationSettings) -> AggregationApp:
    """The aggregation as a Faust app, not started.

    Raises:
        SchemasError: The registry does not answer, or does not know our schemas.
        StreamsError: A codec is missing, or a package is of the wrong version.
    """
    aggregation = Aggregation(
        settings, open_registry(settings.registry_url), Emitter(settings.kafka, settings.group)
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
