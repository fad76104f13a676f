"""One tick: from what rules found to the alerts that changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferwatch_streams.alerts import episode
from inferwatch_streams.alerts.alert import fingerprint_of
from inferwatch_streams.alerts.keeping import kept
from inferwatch_streams.alerts.telling import told

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from inferwatch_streams.alerts.policy import Policy
    from inferwatch_streams.alerts.settings import AlertSettings
    from inferwatch_streams.alerts.state import Change, State
    from inferwatch_streams.alerts.tracked import Tracked
    from inferwatch_streams.rules.finding import Finding


def step(
    state: State,
    rules: Mapping[str, Policy],
    findings_by_rule: Mapping[str, Sequence[Finding]],
    at: int,
    settings: AlertSettings,
) -> tuple[State, tuple[Change, ...]]:
    """The state after a tick, and what is to be written to the topic for it.

    The work grows with the findings and the active alerts, not with rules or groups. A state read
    from what was written goes on as this one would. An alert takes no part in a tick that is not
    after the newest that changed it, so a replay of ticks repeats nothing.

    Args:
        state: Before it.
        rules: All that there are, by name; alerts of others are resolved.
        findings_by_rule: What each rule found, an empty sequence where nothing. A rule that is
            missing here was not evaluated, and its alerts stay as they are. Of findings with equal
            labels the first counts.
        at: Event time of the tick, in microseconds since 1970 (UTC).
        settings: How alerts behave.

    Returns:
        The new state; records, and keys to be removed, in the order in which to write them. Records
        have no epoch yet.
    """
    tick = _Tick(rules, findings_by_rule, _by_fingerprint(rules, findings_by_rule), at, settings)
    current = {name: tick.advanced(before) for name, before in state.active.items()}
    for name, (rule, finding) in tick.findings.items():
        ended = state.over.get(name)
        if name not in current and (ended is None or at > ended.memory.evaluated_at):
            current[name] = episode.begun(ended, rule, finding, at, settings)
    changed = [
        now.remembering(evaluated_at=at).written(at)
        for before, now in _shown(state, current, at, settings)
        if now is not before
    ]
    changed.sort(key=lambda each: each.alert.fingerprint)
    after, removed = (state.having(changed) if changed else state).purged(at, settings)
    return after, (*(each.alert for each in changed), *removed)


@dataclass(frozen=True, slots=True)
class _Tick:
    rules: Mapping[str, Policy]
    evaluated: Container[str]
    findings: Mapping[str, tuple[Policy, Finding]]
    at: int
    settings: AlertSettings

    def advanced(self, before: Tracked) -> Tracked:
        """An active alert after the tick, but for what keeps it from people."""
        at, rule = self.at, self.rules.get(before.alert.rule)
        if at <= before.memory.evaluated_at:
            return before
        if rule is None:
            return episode.orphaned(before, episode.REMOVED, at)
        if rule.condition_id != before.memory.condition_id:
            return episode.orphaned(before, episode.CHANGED, at)
        if rule.name not in self.evaluated:
            return before
        found = self.findings.get(before.alert.fingerprint)
        if found is None:
            return episode.gone(before, rule, at, self.settings)
        begins = before.over and not before.memory.held
        proceed = episode.begun if begins else episode.gone_on
        return proceed(before, rule, found[1], at, self.settings)


def _by_fingerprint(
    rules: Mapping[str, Policy], findings_by_rule: Mapping[str, Sequence[Finding]]
) -> dict[str, tuple[Policy, Finding]]:
    found: dict[str, tuple[Policy, Finding]] = {}
    for name, findings in findings_by_rule.items():
        if findings and name in rules:
            rule = rules[name]
            for finding in findings:
                found.setdefault(fingerprint_of(name, finding.labels), (rule, finding))
    return found


def _shown(
    state: State, current: Mapping[str, Tracked], at: int, settings: AlertSettings
) -> Iterator[tuple[Tracked | None, Tracked]]:
    """Each alert before the tick, and after it with what people see of it."""
    firing = [each.alert for each in current.values() if each.fires]
    keeping = kept(firing, state.silences.values(), at, settings)
    for name, advanced in current.items():
        before, now = state.get(name), advanced
        if before is not None and at <= before.memory.evaluated_at:
            continue
        if name in keeping:
            silence_id, inhibited_by = keeping[name]
            if (silence_id, inhibited_by) != (now.alert.silence_id, now.alert.inhibited_by):
                now = now.columns(silence_id=silence_id, inhibited_by=inhibited_by)
        yield before, told(before, now, at)
