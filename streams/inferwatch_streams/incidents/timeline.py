"""Timelines that stay bounded: of a very long one the beginning and the newest are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from inferwatch_streams.incidents.bounds import LINE, NAME, fitted
from inferwatch_streams.incidents.incident import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Who it was where no person did it.
SELF: Final = "inferwatch"
#: Kind of the line that stands for those left out.
LEFT_OUT: Final = "left_out"
#: Kind of the line that an alert's end leaves, and an incident's.
RESOLVED: Final = "resolved"
FIRST: Final = 40
NEWEST: Final = 160


def extended(timeline: Sequence[Event], *events: Event) -> tuple[Event, ...]:
    """A timeline with more events, bounded to ``FIRST + 1 + NEWEST`` lines.

    The last end of an alert is never left out: from it the quiet time counts.
    """
    lines = [*timeline, *(_cut(event) for event in events)]
    while len(lines) > FIRST + 1 + NEWEST:
        marked = lines[FIRST].kind == LEFT_OUT
        number = int(lines[FIRST].text.split()[0]) if marked else 0
        first = FIRST + 1 if marked else FIRST
        last_end = max(
            (place for place, line in enumerate(lines) if line.kind == RESOLVED), default=-1
        )
        gone = first + 1 if first == last_end else first
        at = lines[gone].at
        del lines[gone]
        text = f"{number + 1} lines are left out here."
        lines[FIRST : FIRST + marked] = [Event(at, LEFT_OUT, SELF, text)]
    return tuple(lines)


def refused(event: Event, why: str) -> Event:
    """The line of what a person wanted and did not get; it names what that was."""
    return replace(event, text=f"{fitted(event.text, NAME)}, which was refused: {why}")


def told(timeline: Sequence[Event], event: Event) -> bool:
    """Whether an event is in a timeline, as done or refused, or was and is left out of it now.

    What a person wanted is told by when it was, to the microsecond, by whom, its kind and its text:
    of two that have all of these in common, the second says nothing that the first did not.
    """
    cut, began = _cut(event), _cut(refused(event, ""))
    if any(line == cut or _refusal(line, began) for line in timeline):
        return True
    gap = next((line for line in timeline if line.kind == LEFT_OUT), None)
    return gap is not None and event.at <= gap.at


def _refusal(line: Event, began: Event) -> bool:
    return line.text.startswith(began.text) and line == replace(began, text=line.text)


def quiet_since(timeline: Sequence[Event]) -> int | None:
    """When the last of the alerts ended that have."""
    return max((line.at for line in timeline if line.kind == RESOLVED), default=None)


def _cut(event: Event) -> Event:
    return replace(event, actor=fitted(event.actor, NAME), text=fitted(event.text, LINE))
