"""What a rule found: the groups whose condition holds at a time, and what it saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One group of one rule whose condition holds.

    Attributes:
        labels: The group's dimensions by name, and the labels the rule adds.
        value: What was seen, in the unit of the rule's measure; None where nothing was.
        threshold: What it was held against.
        samples: Events that the value was made of.
        details: What led to it, for JSON: windows, burn rates, baseline.
    """

    labels: Mapping[str, str]
    value: float | None
    threshold: float | None
    samples: int | None
    details: Mapping[str, Any] = field(default_factory=dict)
