"""What changed between two lists of rules: for a reload while alerts are firing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferwatch_streams.rules.definition import Rule


@dataclass(frozen=True, slots=True)
class Difference:
    """Names of rules, each sorted.

    Attributes:
        added: Those that are new.
        removed: Those that are gone.
        changed: Those whose condition is another: their alerts begin anew.
        retold: Those of which only texts, severity, waiting times or grouping changed: their alerts
            stay as they are.
        kept: Those that are the same.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    retold: tuple[str, ...]
    kept: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.added or self.removed or self.changed or self.retold)

    def __str__(self) -> str:
        """As people read it: ``2 added (a, b), 1 removed (c)``."""
        named = {
            "added": self.added,
            "removed": self.removed,
            "changed": self.changed,
            "retold": self.retold,
        }
        told = [
            f"{len(names)} {what} ({', '.join(names)})" for what, names in named.items() if names
        ]
        return ", ".join(told) or "nothing changed"


def difference(old: Iterable[Rule], new: Iterable[Rule]) -> Difference:
    """What a reload of rules changes."""
    before = {rule.name: rule for rule in old}
    after = {rule.name: rule for rule in new}
    both = sorted(before.keys() & after.keys())
    same = [name for name in both if before[name] == after[name]]
    alike = [name for name in both if before[name].condition_id == after[name].condition_id]
    return Difference(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(name for name in both if name not in alike),
        retold=tuple(name for name in alike if name not in same),
        kept=tuple(same),
    )
