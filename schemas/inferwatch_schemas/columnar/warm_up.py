"""Compiling before anything waits for it.

A worker that compiles while a member of its group holds up its event loop and its partitions, and
may lose its place in the group.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.columnar import compiling
from inferwatch_schemas.memory import leave_uncollected

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

TELL_SECONDS: Final = 1.0
NOT_YET: Final = "compiling, for nothing fresh is kept; the group is joined when it is done"
NOT_KEPT: Final = (
    "compiling, and again at every start, for the result cannot be kept: set NUMBA_CACHE_DIR to a "
    "folder that this user can write to"
)
NOT_USABLE: Final = (
    "compiling, and again at every start, for what was compiled can be neither loaded nor kept: "
    "mend the folders, or empty them"
)


def warm_up(*rehearsals: Callable[[], None]) -> None:
    """Have compiled, or loaded, whatever the rehearsals call; says so where it takes a while.

    It ends the making of a process: what there is then is left uncollected.

    Compiled code that cannot be kept, or that was kept and cannot be loaded, is no error: it is
    compiled anew.
    """
    if all(compiling.folders()):
        _warm_up(rehearsals)
    else:
        log.warning(NOT_KEPT)
        _run(rehearsals)
    leave_uncollected()


def _warm_up(rehearsals: tuple[Callable[[], None], ...]) -> None:
    finished = threading.Event()
    threading.Thread(target=_tell, args=[finished], name="telling", daemon=True).start()
    try:
        _run(rehearsals)
    except Exception as error:  # noqa: BLE001  # of a full disk, or whatever broken files lead to
        finished.set()
        log.warning(NOT_USABLE, error=repr(error), folders=compiling.folders())
        compiling.keep_none()
        _run(rehearsals)
    finally:
        finished.set()


def _tell(finished: threading.Event) -> None:
    while not finished.wait(TELL_SECONDS):
        # A machine that is short of time may take as long to load what was compiled before.
        if compiling.has_begun():
            log.warning(NOT_YET)
            return


def _run(rehearsals: tuple[Callable[[], None], ...]) -> None:
    for rehearse in rehearsals:
        rehearse()
