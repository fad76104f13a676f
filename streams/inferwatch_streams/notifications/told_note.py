"""What was told beyond the committed offset, as a note that is committed with it. Pure.

The offset alone says what all channels were told: one that hangs would have it forgotten what the
others were. A note is ``1:BASE`` and for each channel ``:CHANNEL=RUNS``: numbers of
offsets from the base on, in turns settled (told, buried, or found needless) and not, which end with
settled ones. Numbers are hexadecimal; a channel is named by a digest, which no other file of
channels changes.
"""

from __future__ import annotations

import base64
import hashlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

VERSION: Final = "1"
#: A broker takes 4096 bytes of metadata (``offset.metadata.max.bytes``), of which the transport
#: has some for the topic's id and an offset.
MAX_CHARACTERS: Final = 3900
_DIGEST_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class ToldNote:
    """A note.

    Attributes:
        base: Offset that it begins at; below, everything is settled.
        until: Offset up to which it says anything.
        edges: By a channel's digest, where settled and unsettled offsets begin in turns.
    """

    base: int = 0
    until: int = 0
    edges: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def told(self, channel: str, offset: int) -> bool:
        """Whether it says that a channel needs to be told no more of an offset."""
        edges = self.edges.get(digest(channel), ())
        if not self.base <= offset < self.until:
            return False
        return bisect_right(edges, offset) % 2 == 1

    @classmethod
    def read(cls, text: str, end: int) -> ToldNote:
        """A note as it was committed.

        Args:
            text: It; empty where there is none.
            end: The log's end: what a note says beyond is of a log that was cut.

        Raises:
            ValueError: It is none of ours.
        """
        if not text:
            return cls()
        version, _, rest = text.partition(":")
        if version != VERSION:
            raise ValueError(f"version {version[:20]!r} is not known")
        start, *entries = rest.split(":")
        base, until = _number(start), 0
        edges = {}
        for entry in entries:
            channel, _, runs = entry.partition("=")
            edges[channel] = tuple(accumulate(map(_number, runs.split(".")), initial=base))
            until = max(until, edges[channel][-1])
        return cls(base, min(until, end), edges)


NO_NOTE: Final = ToldNote()


def written(
    unsettled: Mapping[str, Collection[int]], base: int, until: int, most: int = MAX_CHARACTERS
) -> tuple[str, int]:
    """A note of what is settled, as far as there is room.

    Args:
        unsettled: Of each channel, the offsets that it is still to be told.
        base: The committed offset: the least of them, or ``until``.
        until: Offset up to which all was taken in.
        most: Most characters.

    Returns:
        The note, empty where it would say nothing; and the offset up to which it speaks.
    """
    if base >= until:
        return "", until
    waiting: dict[str, set[int]] = {}
    for channel, offsets in unsettled.items():
        # Of two with one digest, what either needs is needed.
        waiting.setdefault(digest(channel), set()).update(offsets)
    edges = {
        # More than there is room for need not be looked at.
        channel: _edges(sorted(offsets), base, until)[:most]
        for channel, offsets in waiting.items()
    }
    note = _text(edges, base, until)
    if len(note) <= most:
        return note, until
    # The less far it reaches, the shorter it is.
    fits, beyond = base, until
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if len(_text(edges, base, middle)) <= most:
            fits = middle
        else:
            beyond = middle
    return _text(edges, base, fits), fits


def digest(channel: str) -> str:
    """A channel's name in short."""
    found = hashlib.sha256(channel.encode()).digest()[:_DIGEST_BYTES]
    return base64.urlsafe_b64encode(found).decode()


def _edges(offsets: list[int], base: int, until: int) -> list[int]:
    """Where, from the base on, settled and unsettled offsets begin in turns, and the last end."""
    edges = [base]
    for offset in offsets:
        if not base <= offset < until:
            continue
        if offset == edges[-1] and len(edges) > 1:
            edges[-1] = offset + 1
        else:
            edges += [offset, offset + 1]
    return [*edges, until] if edges[-1] < until else edges[:-1]


def _text(edges: Mapping[str, list[int]], base: int, until: int) -> str:
    entries = ""
    for channel, all_of in edges.items():
        # What would begin to be settled only here is none.
        within = all_of[: bisect_left(all_of, until, lo=1)]
        if len(within) % 2:
            within.append(until)
        if within[-1] > base:
            runs = ".".join(f"{after - before:x}" for before, after in pairwise(within))
            entries += f":{channel}={runs}"
    return f"{VERSION}:{base:x}{entries}" if entries else ""


def _number(text: str) -> int:
    if not text.isascii() or not text.isalnum():
        raise ValueError(f"{text[:20]!r} is no number")
    return int(text, 16)
