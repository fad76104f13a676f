"""Reading a chunk although the schema registry may be away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.errors import RegistryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_schemas.columnar.reader import BadRecord, ChunkReader, Part
    from inferwatch_schemas.columnar.waits import Waits

log = structlog.get_logger(__name__)

REGISTRY: Final = "the schema registry"
FIRST_BACKOFF_SECONDS: Final = 0.2
MAX_BACKOFF_SECONDS: Final = 10.0


async def read_patiently(
    reader: ChunkReader, chunk: Chunk, wanted: Callable[[], bool], waits: Waits
) -> tuple[Sequence[Part], Sequence[BadRecord]] | None:
    """What ``ChunkReader.read`` returns, once the registry answers.

    Args:
        reader: Reads the chunk.
        chunk: What to read.
        wanted: Asked after each wait; False where the partition was given away meanwhile.
        waits: Told while the registry is waited for.

    Returns:
        None when the chunk is no longer wanted.
    """
    backoff = FIRST_BACKOFF_SECONDS
    with waits.during(REGISTRY):
        while True:
            try:
                if new := reader.new_ids(chunk):
                    await asyncio.to_thread(reader.resolve, new)
                    if not wanted():
                        return None
                return reader.read(chunk)
            except RegistryUnavailableError as error:
                log.warning("waiting for the schema registry", error=str(error))
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)
            if not wanted():
                return None
