"""The one alert that needs no rule: nothing of the present comes from the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inferwatch_schemas.instants import moment_text
from inferwatch_streams.rules.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "PipelineSilent"
MICROS: Final = 1_000_000
ADVICE: Final = (
    "No rule can be evaluated. Check that the role aggregation runs, is ready and keeps up, and "
    "that services publish events."
)


@dataclass(frozen=True, slots=True)
class PipelineSilent:
    """A policy as alerts want it (``alerts.policy.Policy``); the condition is ``found``'s."""

    name: str = NAME
    kind: str = "absence"
    severity: str = "critical"
    condition_id: str = "built-in"
    pending: int = 0
    keep_firing: int = 0
    cooldown: int = 0
    group_by: tuple[str, ...] = ()
    runbook: str | None = "docs/runbooks/pipeline-silent.md"

    def render(self, finding: Finding) -> tuple[str, str]:
        """Summary and description of what was found."""
        since = finding.details["since"]
        return f"No aggregate row tells of anything since {since}: nothing is monitored", ADVICE


def found(since: int, at: int, threshold: int, labels: Mapping[str, str]) -> Finding:
    """What to tell.

    Args:
        since: Up to when the rows that came tell, in microseconds since 1970.
        at: Now, likewise.
        threshold: How far they may be behind, in microseconds.
        labels: Of the alert.
    """
    return Finding(
        labels=labels,
        value=(at - since) / MICROS,
        threshold=threshold / MICROS,
        samples=None,
        details={"since": moment_text(since)},
    )
