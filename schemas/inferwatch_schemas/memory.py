"""How a worker's memory is managed: by the C library, and by Python's collector of cycles."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Final

# malloc.h of glibc, whose manual explains them under "Malloc Tunable Parameters".
M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
# The largest that glibc takes (HEAP_MAX_SIZE / 2 on 64 bits).
MMAP_BYTES: Final = 32 * 1024 * 1024
TRIM_BYTES: Final = 512 * 1024 * 1024


def keep_freed_memory() -> bool:
    """Keep what is freed for the next chunk; False where the C library is not glibc.

    By default every chunk's memory is returned to the system and comes back as fresh pages, which
    the kernel has to clear: a fifth of a worker's CPU time where it was measured. One arena,
    because what one thread allocates another frees. The memory of the busiest moment stays with
    the process.

    To be called before the first thread is started.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = (
        (M_ARENA_MAX, 1),
        (M_MMAP_THRESHOLD, MMAP_BYTES),
        (M_TRIM_THRESHOLD, TRIM_BYTES),
    )
    return all(mallopt(name, value) == 1 for name, value in wanted)


def leave_uncollected() -> None:
    """Have the collector of cycles pass over what is there by now, for good.

    What a start made (modules, compiled code, schemas) lives as long as its process. To look
    through all of it takes a twentieth to a tenth of a second, every few seconds under load.
    """
    gc.collect()
    gc.freeze()
