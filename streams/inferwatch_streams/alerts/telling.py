"""What people are told of an alert, and when: ``Alert.notification_id``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferwatch_streams.alerts.alert import ACKNOWLEDGED, FIRING, PENDING, transition_of

if TYPE_CHECKING:
    from inferwatch_streams.alerts.tracked import Tracked


def told(before: Tracked | None, now: Tracked, at: int) -> Tracked:
    """An alert with what people are to be told after a change, if anything.

    Args:
        before: As it was last written; None where it was not.
        now: As it is after the tick or command, and what keeps it from people then.
        at: When.
    """
    alert, heard = now.alert, now.memory.heard
    if alert.status == PENDING or (now.fires and not alert.told):
        return _with(now, None, heard=heard)
    if alert.status == FIRING:
        return _firing(before, now, at)
    if alert.status == ACKNOWLEDGED:
        return _with(now, alert.transition_id if heard else None, heard=heard)
    if heard and not alert.flapping:
        # Whoever heard of the beginning hears of the end, silenced or not.
        ended = now.columns(silence_id=None, inhibited_by=None) if not alert.told else now
        return _with(ended, alert.transition_id, heard=False)
    return now if not _turned(before, now) else _with(now, None, heard=heard)


def _firing(before: Tracked | None, now: Tracked, at: int) -> Tracked:
    alert = now.alert
    if not now.memory.heard:
        return _with(now, alert.transition_id, heard=True)
    if _turned(before, now):
        again = alert.flapping and not (before is not None and before.fires)
        return _with(now, None if again else alert.transition_id, heard=True)
    if before is not None and before.alert.silence_id is not None:
        reminder = transition_of(alert.fingerprint, "told again", at)
        return _with(now, reminder, heard=True)
    return now


def _turned(before: Tracked | None, now: Tracked) -> bool:
    return before is None or before.alert.transition_id != now.alert.transition_id


def _with(now: Tracked, notification_id: str | None, *, heard: bool) -> Tracked:
    if (notification_id, heard) == (now.memory.notification_id, now.memory.heard):
        return now
    return now.remembering(notification_id=notification_id, heard=heard)
