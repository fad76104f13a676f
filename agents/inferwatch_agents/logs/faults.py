"""Failures of logging: counted by the SDK, or told once on stderr while it does not run."""

from __future__ import annotations

import contextlib
import sys
from typing import Final

from inferwatch_agents import process

_told: Final[set[str]] = set()


def fault(where: str, error: BaseException) -> None:
    """Count a failure that the caller of a log method must not see; never raises.

    Args:
        where: A constant of ours, which labels the metric.
        error: Its message is told, so it must not be of what was logged.
    """
    sdk = process.active()
    if sdk is not None:
        sdk.fault(where, error)
    elif where not in _told:
        _told.add(where)
        # Where there is no stderr either, there is nowhere left to tell it.
        with contextlib.suppress(Exception):
            sys.stderr.write(f"inferwatch failed; the service is not affected: {where}: {error}\n")
