"""Episodes: from the moment an alert fired until it was resolved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inferwatch_streams.alerts.alert import ACKNOWLEDGED, FIRING, RESOLVED, Alert, fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from inferwatch_streams.rules.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One episode. Times are microseconds of event time since 1970 (UTC).

    Attributes:
        rule: Name of the rule.
        severity: Of the alert; the worst it had.
        labels: Of the alert.
        started_at: Since when its condition held.
        fired_at: When it fired.
        resolved_at: When it was resolved; None where it still fired at the end.
        peak: The value that was furthest beyond the threshold; None where there was none.
        threshold: What values were held against when it fired.
    """

    rule: str
    severity: str
    labels: Mapping[str, str]
    started_at: int
    fired_at: int
    resolved_at: int | None = None
    peak: float | None = None
    threshold: float | None = None

    @property
    def matched(self) -> dict[str, str]:
        """What conditions on episodes look at: labels, and rule and severity."""
        return {**self.labels, "rule": self.rule, "severity": self.severity}

    def until(self, end: int) -> int:
        """When it ended, or where the backtest did."""
        return end if self.resolved_at is None else self.resolved_at


class Episodes:
    """Collects episodes from what changed at each tick."""

    def __init__(self) -> None:
        self._over: list[Episode] = []
        self._firing: dict[str, Episode] = {}

    def tick(
        self, changed: Iterable[Alert], findings_by_rule: Mapping[str, Sequence[Finding]]
    ) -> None:
        """Take in the alerts that changed at a tick, and what rules found at it."""
        for alert in changed:
            self._change(alert)
        if self._firing:
            for rule, findings in findings_by_rule.items():
                for finding in findings:
                    self._see(fingerprint_of(rule, finding.labels), finding)

    def all(self) -> list[Episode]:
        """Those that are over and those that still fire, by the time they fired."""
        return sorted(
            [*self._over, *self._firing.values()],
            key=lambda each: (each.fired_at, each.rule, sorted(each.labels.items())),
        )

    def _change(self, alert: Alert) -> None:
        name = alert.fingerprint
        if alert.status in {FIRING, ACKNOWLEDGED} and alert.fired_at is not None:
            known = self._firing.get(name)
            if known is None:
                self._firing[name] = Episode(
                    rule=alert.rule,
                    severity=alert.severity,
                    labels=dict(alert.labels),
                    started_at=alert.started_at,
                    fired_at=alert.fired_at,
                    threshold=alert.threshold,
                )
            elif known.severity != alert.severity:
                self._firing[name] = replace(known, severity=alert.severity)
        elif alert.status == RESOLVED and name in self._firing:
            self._over.append(replace(self._firing.pop(name), resolved_at=alert.resolved_at))

    def _see(self, name: str, finding: Finding) -> None:
        known = self._firing.get(name)
        if known is None or finding.value is None:
            return
        if known.peak is None or _beyond(finding.value, known) > _beyond(known.peak, known):
            self._firing[name] = replace(known, peak=finding.value)


def _beyond(value: float, episode: Episode) -> float:
    return abs(value - (episode.threshold or 0.0))
