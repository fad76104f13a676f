"""How much a fetch may bring, and how long it may wait for that."""

from __future__ import annotations

from typing import Final

FETCH_MIN_BYTES: Final = 64 * 1024
FETCH_WAIT_MS: Final = 200
# Partitions whose share of a fetch may be full at once: a bound on a response's size.
FETCHED_PARTITIONS: Final = 8


def fetch_limits(partition_bytes: int) -> dict[str, int]:
    """What a fetch may bring, and how long it may wait for more, in aiokafka's settings.

    Args:
        partition_bytes: Most bytes of one partition.
    """
    most = FETCHED_PARTITIONS * partition_bytes
    return {
        "max_partition_fetch_bytes": partition_bytes,
        # The embedded broker heeds only this one.
        "fetch_max_bytes": most,
        # Producers' batches come in ones and twos where events are few; a chunk for each would
        # cost more than its events. They wait for more, for a fifth of a second at most. Asked for
        # more than it may send, the embedded broker sends nothing, for ever.
        "fetch_min_bytes": min(FETCH_MIN_BYTES, most),
        "fetch_max_wait_ms": FETCH_WAIT_MS,
    }
