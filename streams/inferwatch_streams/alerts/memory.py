"""What the state machine has to remember of an alert beyond the columns of its record.

It is kept in the record's details, under one name, so that the topic alone is the state.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Its name among the details; what else is there, the rule has told.
NAME: Final = "alerting"
MOST_COMMANDS: Final = 50
MOST_COMMENTS: Final = 20
#: Longer details of a rule are left out; a record may have 256 KiB.
MOST_TEXT: Final = 50_000


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said of an alert, and when."""

    at: int
    actor: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that the next step of an alert depends on and its columns do not say.

    Attributes:
        condition_id: Of the rule that made it.
        evaluated_at: Newest tick that changed it; older ones do not count again.
        absent_since: Since when the condition of a firing alert is gone.
        held: Whether it was resolved by hand and its condition has not gone since.
        ended_at: When it was last resolved, for the cooldown; None where that does not count.
        firings: When it fired, the newest last, as far as flapping depends on it.
        heard: Whether people were told that it fires and not yet that it does not.
        notification_id: As in ``Alert``.
        reason: Why it was resolved, where not because its condition was gone.
        commands: Newest commands that were carried out.
        comments: Newest comments.
    """

    condition_id: str = ""
    evaluated_at: int = 0
    absent_since: int | None = None
    held: bool = False
    ended_at: int | None = None
    firings: tuple[int, ...] = ()
    heard: bool = False
    notification_id: str | None = None
    reason: str | None = None
    commands: tuple[str, ...] = ()
    comments: tuple[Comment, ...] = ()

    @classmethod
    def of_details(cls, details: str | None) -> tuple[Self, dict[str, Any]]:
        """What details hold: this, and what the rule told.

        What is missing or not understood is as of an alert that nothing happened to.
        """
        try:
            told = json.loads(details) if details else {}
        except ValueError:
            told = {}
        if not isinstance(told, dict):
            told = {}
        kept = told.pop(NAME, None)
        return cls._read(kept if isinstance(kept, dict) else {}), told

    @classmethod
    def _read(cls, kept: Mapping[str, Any]) -> Self:
        known = {name: value for name, value in kept.items() if name in _DEFAULTS}
        try:
            for name in ("firings", "commands"):
                known[name] = tuple(known.get(name, ()))
            known["comments"] = tuple(Comment(*each) for each in known.get("comments", ()))
        except TypeError:
            return cls()
        return cls(**known)

    def to_details(self, found: Mapping[str, Any]) -> str:
        """Details with this and what the rule told; whatever that is, the result is JSON."""
        told = {name: plain(value) for name, value in found.items() if name != NAME}
        length = len(_dumped(told))
        if length > MOST_TEXT:
            told = {"left_out": f"details of {length} characters"}
        kept: dict[str, Any] = {
            name: getattr(self, name)
            for name, default in _DEFAULTS.items()
            if getattr(self, name) != default
        }
        if "comments" in kept:
            kept["comments"] = [[each.at, each.actor, each.text] for each in self.comments]
        return _dumped({**told, NAME: kept})


def plain(value: Any) -> Any:
    """A value as JSON can have it: no NaN, and text for what it does not know."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    item = getattr(value, "item", None)  # a scalar of numpy
    return plain(item()) if callable(item) and getattr(value, "ndim", 1) == 0 else str(value)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_DEFAULTS: Final = {each.name: each.default for each in fields(Memory)}
