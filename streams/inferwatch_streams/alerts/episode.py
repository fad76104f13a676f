"""One alert through an episode: pending, firing, resolved, as its condition comes and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inferwatch_streams.alerts.alert import (
    FIRING,
    INACTIVE,
    PENDING,
    RESOLVED,
    SEVERITIES,
    Alert,
    fingerprint_of,
    transition_of,
)
from inferwatch_streams.alerts.flapping import is_calm, noted
from inferwatch_streams.alerts.memory import Memory
from inferwatch_streams.alerts.tracked import Tracked

if TYPE_CHECKING:
    from inferwatch_streams.alerts.policy import Policy
    from inferwatch_streams.alerts.settings import AlertSettings
    from inferwatch_streams.rules.finding import Finding

REMOVED: Final = "The rule was removed."
CHANGED: Final = "The rule looks for something else now."


def begun(
    before: Tracked | None, rule: Policy, finding: Finding, at: int, settings: AlertSettings
) -> Tracked:
    """The first tick of an episode: pending, or firing where nothing has to be waited for."""
    fingerprint = fingerprint_of(rule.name, finding.labels)
    memory = Memory() if before is None else before.memory
    alert = Alert(
        fingerprint=fingerprint,
        event_time=at,
        rule=rule.name,
        kind=rule.kind,
        severity=_severity(rule, finding),
        status=PENDING,
        transition_id=transition_of(fingerprint, PENDING, at),
        labels=tuple(sorted(finding.labels.items())),
        summary="",
        started_at=at,
        flapping=before is not None and before.alert.flapping,
    )
    new = Tracked(
        alert,
        Memory(
            condition_id=rule.condition_id,
            ended_at=memory.ended_at,
            firings=memory.firings,
            heard=memory.heard,
            commands=memory.commands,
        ),
        finding.details,
    )
    return _seen(_fired_if_due(new, rule, at, settings), rule, finding)


def gone_on(
    before: Tracked, rule: Policy, finding: Finding, at: int, settings: AlertSettings
) -> Tracked:
    """A tick at which the condition holds still."""
    now = before
    if now.over:
        return _calmed(now, at, settings)
    if now.alert.status == PENDING:
        fired = _fired_if_due(_calmed(now, at, settings), rule, at, settings)
        return _seen(fired, rule, finding) if fired.fires else fired
    if now.memory.absent_since is not None:
        now = now.remembering(absent_since=None)
    severity = _severity(rule, finding)
    if SEVERITIES.index(severity) > SEVERITIES.index(now.alert.severity):
        # Worse than what somebody may have acknowledged.
        now = now.turned(FIRING, at, severity=severity, acknowledged_at=None, acknowledged_by=None)
        return _seen(now, rule, finding)
    if _stale(now.alert, finding, at, settings):
        now = _seen(now, rule, finding)
    return _calmed(now, at, settings)


def gone(before: Tracked, rule: Policy, at: int, settings: AlertSettings) -> Tracked:
    """A tick at which the condition does not hold."""
    now = _calmed(before, at, settings)
    if now.over:
        return now.remembering(held=False) if now.memory.held else now
    if now.alert.status == PENDING:
        return now.turned(INACTIVE, at)
    absent_since = at if now.memory.absent_since is None else now.memory.absent_since
    if at - absent_since >= rule.keep_firing:
        return resolved(now, at, counts=True)
    if now.memory.absent_since is None:
        now = now.remembering(absent_since=at)
    return now


def orphaned(before: Tracked, reason: str, at: int) -> Tracked:
    """A tick at which nobody looks for the condition any more."""
    now = before.columns(flapping=False) if before.alert.flapping else before
    now = now.remembering(held=False) if now.memory.held else now
    return now if now.over else resolved(now, at, reason=reason, counts=False)


def resolved(before: Tracked, at: int, *, counts: bool, reason: str | None = None) -> Tracked:
    """The end of an episode; of a pending one, as if it had not begun.

    Args:
        before: What ends.
        at: When.
        counts: Whether a cooldown begins.
        reason: Why, where not because the condition was gone.
    """
    if not before.fires:
        return before.turned(INACTIVE, at).remembering(reason=reason)
    ended_at = at if counts else None
    return before.turned(RESOLVED, at, resolved_at=at).remembering(
        absent_since=None, ended_at=ended_at, reason=reason
    )


def _fired_if_due(now: Tracked, rule: Policy, at: int, settings: AlertSettings) -> Tracked:
    ended_at = now.memory.ended_at
    if at - now.alert.started_at < rule.pending:
        return now
    if ended_at is not None and at - ended_at < rule.cooldown:
        return now
    firings, flaps = noted(now.memory.firings, at, settings)
    flapping = now.alert.flapping or flaps
    return now.turned(FIRING, at, fired_at=at, flapping=flapping).remembering(firings=firings)


def _calmed(now: Tracked, at: int, settings: AlertSettings) -> Tracked:
    if now.alert.flapping and is_calm(now.memory.firings, at, settings):
        return now.columns(flapping=False)
    return now


def _severity(rule: Policy, finding: Finding) -> str:
    told = finding.details.get("severity")
    return told if told in SEVERITIES else rule.severity


def _seen(now: Tracked, rule: Policy, finding: Finding) -> Tracked:
    summary, description = rule.render(finding)
    seen = now.columns(
        value=finding.value,
        threshold=finding.threshold,
        samples=finding.samples,
        summary=summary,
        description=description,
        runbook_url=rule.runbook,
    )
    told = seen.alert.matched
    group = ",".join(f'{name}="{told.get(name, "")}"' for name in rule.group_by)
    return Tracked(
        seen.columns(group_key=group or now.alert.fingerprint).alert, now.memory, finding.details
    )


def _stale(alert: Alert, finding: Finding, at: int, settings: AlertSettings) -> bool:
    if (finding.value, finding.samples) == (alert.value, alert.samples):
        return False
    return at - alert.event_time >= settings.refresh or _doubled(alert, finding.value)


def _doubled(alert: Alert, value: float | None) -> bool:
    if alert.value is None or value is None:
        return value is not None
    # Only for the worse, so that a value that goes up and down is not written each time.
    low = alert.threshold is not None and alert.value < alert.threshold
    before, now = (-alert.value, -value) if low else (alert.value, value)
    return now > before and now >= (2 * before if before > 0 else before / 2)
