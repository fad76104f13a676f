"""Alerts and commands for the tests of incidents; times are seconds from a beginning."""

from __future__ import annotations

from typing import Any, Final

from inferwatch_streams.alerts.alert import Alert, fingerprint_of, transition_of
from inferwatch_streams.commands.command import Command

BEGIN: Final = 1_790_000_000_000_000
SECOND: Final = 1_000_000


def at(seconds: float) -> int:
    """So many seconds from the beginning, as records have it."""
    return BEGIN + round(seconds * SECOND)


def alert(
    rule: str = "error_rate", seconds: float = 0, status: str = "firing", **given: Any
) -> Alert:
    """An alert that fires since a time; with ``resolved``, seconds later it is over."""
    labels = given.pop("labels", {"service": "chat"})
    fired = at(given.pop("fired", seconds))
    fingerprint = fingerprint_of(rule, labels)
    return Alert(
        **{
            "fingerprint": fingerprint,
            "event_time": at(seconds),
            "rule": rule,
            "kind": "threshold",
            "severity": "high",
            "status": status,
            "transition_id": transition_of(fingerprint, status, at(seconds)),
            "labels": tuple(sorted(labels.items())),
            "summary": f"{rule} of {' '.join(labels.values())}",
            "started_at": fired,
            "fired_at": fired,
            "resolved_at": at(seconds) if status == "resolved" else None,
            "runbook_url": f"https://runbooks/{rule}",
            **given,
        }
    )


def command(action: str, target: str, seconds: float = 1, **given: Any) -> Command:
    """A command of ann."""
    return Command(
        command_id=f"{action}-{seconds}", event_time=at(seconds), actor="ann", action=action,
        target=target, **given,
    )  # fmt: skip
