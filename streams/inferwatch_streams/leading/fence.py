"""Whose records of a state topic count: those of the newest leader that has claimed it.

A leader that takes over writes a claim: a record of the key ``leader`` without a value. The claim's
offset is the leader's epoch, and every record it writes says that epoch. One that was replaced and
does not know it yet (a process that slept) still writes its older epoch: after the newer claim, its
records count for nobody. Kafka's own log order decides, so that all readers agree
(docs/decisions/0035).
"""

from __future__ import annotations

from typing import Final

CLAIM_KEY: Final = "leader"
#: Kafka header of every record of a state topic but the claims; the record's value says it too.
EPOCH_HEADER: Final = "inferwatch_epoch"
#: Before anything is known: every record's epoch is above it.
NO_EPOCH: Final = -1


class Fence:
    """Which records count, for a reader that goes through the log in order.

    A record of a higher epoch than any known one raises the epoch as its claim would: a reader that
    starts after the claim, or after the claim was compacted away, comes to the same.

    Attributes:
        epoch: The newest leader's, as far as it is known.
    """

    def __init__(self, epoch: int = NO_EPOCH) -> None:
        """Start at a known epoch, or at none."""
        self.epoch = epoch

    def accepts(self, key: str | None, value_is_none: bool, epoch: int | None, offset: int) -> bool:  # noqa: FBT001  # one of the record's four properties
        """Take the next record, and tell whether it counts; a claim is no record and does not.

        Args:
            key: Its key; None where it has none.
            value_is_none: Whether it has no value: a claim, or the removal of a key.
            epoch: What it says of its leader; None where it says nothing.
            offset: Where it stands in the log.
        """
        if key == CLAIM_KEY:
            if value_is_none:
                self.epoch = max(self.epoch, offset)
            return False
        # Who says no epoch does not lead. Nobody can have one at or above the own offset.
        if epoch is None or not max(self.epoch, 0) <= epoch < offset:
            return False
        self.epoch = epoch
        return True
