"""The notifications' way of a chunk, gone once in memory: so that all of it is compiled."""

from __future__ import annotations

from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.topics import ALERTS, INCIDENTS
from inferwatch_streams.transport.rehearsal import chunk_of


def rehearse() -> None:
    """Take made-up records of each topic from a response to a chunk."""
    for topic in (ALERTS, INCIDENTS):
        chunk_of(topic.name, example_values(topic, 2))
