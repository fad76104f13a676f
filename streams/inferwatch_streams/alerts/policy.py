"""What the state machine wants to know of a rule; any object with these attributes will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from inferwatch_streams.rules.finding import Finding


class Policy(Protocol):
    """A rule as alerts see it. Lengths of time are microseconds of event time; none is negative.

    A frozen dataclass with fields of these names fits.
    """

    @property
    def name(self) -> str:
        """Unique among the rules; part of each fingerprint."""
        ...

    @property
    def kind(self) -> str:
        """What it looks at, as in the schema of alerts."""
        ...

    @property
    def severity(self) -> str:
        """One of ``alert.SEVERITIES``; a finding whose details name a ``severity`` has that one.

        An alert takes the worst of its episode, and fires again where it gets worse.
        """
        ...

    @property
    def condition_id(self) -> str:
        """A digest of all that decides when its condition holds, and of nothing else.

        An alert whose rule has another one is resolved, as its condition is no longer looked for;
        a change of texts, severity, lengths of time or grouping should leave this as it is.
        """
        ...

    @property
    def pending(self) -> int:
        """How long the condition must hold before the alert fires (``for``)."""
        ...

    @property
    def keep_firing(self) -> int:
        """How long the condition must be gone before the alert is resolved."""
        ...

    @property
    def cooldown(self) -> int:
        """How long after it was resolved the alert does not fire again: it stays pending."""
        ...

    @property
    def group_by(self) -> tuple[str, ...]:
        """Labels by which its alerts are told together, also rule and severity; none: alone."""
        ...

    @property
    def runbook(self) -> str | None:
        """Where it says what to do."""
        ...

    def render(self, finding: Finding) -> tuple[str, str]:
        """Summary, one line, and description for people, of what was found; never raises."""
        ...
