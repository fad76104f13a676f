"""``inferwatch worker`` with a fault: while a file exists, it drops what it reads of one partition.

The command line is the worker's; the variables DEAF_FILE, DEAF_TOPIC and DEAF_PARTITION say when
and where. Nothing outside explains such a stall, and no chunk that follows shows it.
"""

import os
from pathlib import Path

from inferwatch.main import run
from inferwatch_schemas.columnar.chunk import Chunk
from inferwatch_streams.aggregation import Aggregation

DEAF = Path(os.environ["DEAF_FILE"])
AT = (os.environ["DEAF_TOPIC"], int(os.environ["DEAF_PARTITION"]))


def is_deaf() -> bool:
    """Whether the fault is on."""
    return DEAF.exists()


class DeafAggregation(Aggregation):
    """Loses the partition's chunks."""

    async def process(self, chunk: Chunk) -> None:
        """See ``Aggregation.process``."""
        if not (is_deaf() and (chunk.topic, chunk.partition) == AT):
            await super().process(chunk)


if __name__ == "__main__":
    from inferwatch_streams import factory

    factory.Aggregation = DeafAggregation  # type: ignore[misc]  # the fault
    run()
