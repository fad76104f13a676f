"""Gives all partitions of a consumer group to one member, and leaves them there while it lives.

For aiokafka's consumer, whose assignors are ``aiokafka.coordinator.assignors.abstract``; the
transport takes it from the app's attribute ``group_assignor``.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Final

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aiokafka.cluster import ClusterMetadata

VERSION: Final = 0
_TERM: Final = struct.Struct(">q")
#: Of who has no partitions.
NO_TERM: Final = 0


class OneLeader(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka ships no types
    """All for one, none for the others.

    Each assignment has a term: its time, and above any term known. Who has the partitions tells
    their term when it joins; where several think they have them (one slept through its replacement)
    the one of the highest term keeps them. Clocks that differ cost at most one needless change.
    """

    name = "inferwatch-one-leader"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Begin without partitions; clock is in seconds since 1970."""
        self._term = NO_TERM
        self._clock = clock

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member tells when it joins: its topics, and its term."""
        return ConsumerProtocolMemberMetadata(VERSION, sorted(topics), _TERM.pack(self._term))

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Hear what this member got."""
        self._term = _term(assignment.user_data)

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Assign for the whole group; called at the member that Kafka has chosen for it.

        Topics that the one is not subscribed to stay without a reader: while versions of a role
        with other topics run side by side, the member that leads decides.
        """
        terms = {member: _term(each.user_data) for member, each in members.items()}
        highest = max(terms.values())
        # Of equal ones, any: but the same, whoever assigns.
        leader = min(member for member, term in terms.items() if term == highest)
        term = max(highest + 1, int(self._clock() * 1000))
        partitions = [
            (topic, sorted(found))
            for topic in sorted(members[leader].subscription)
            if (found := cluster.partitions_for_topic(topic))
        ]
        return {
            member: ConsumerProtocolMemberAssignment(VERSION, partitions, _TERM.pack(term))
            if member == leader
            else ConsumerProtocolMemberAssignment(VERSION, [], _TERM.pack(NO_TERM))
            for member in members
        }


def _term(told: bytes | None) -> int:
    if told is None or len(told) != _TERM.size:
        return NO_TERM
    (term,) = _TERM.unpack(told)
    return int(term)
