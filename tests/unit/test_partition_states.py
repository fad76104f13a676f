"""What aiokafka's own objects say of a consumer's partitions, read without asking the broker."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import TopicPartition

from inferwatch_streams.transport.partition_states import (
    PartitionState,
    has_joined,
    partition_states,
)

TP = TopicPartition("requests", 3)
AT = ("requests", 3)


class Member:
    """A consumer that has subscribed to a topic and been assigned nothing; needs a loop."""

    def __init__(self) -> None:
        self.subscription = SubscriptionState()
        self.subscription.subscribe({TP.topic})
        self.buffered: dict[TopicPartition, object] = {}
        self.consumer = SimpleNamespace(
            _subscription=self.subscription, _fetcher=SimpleNamespace(_records=self.buffered)
        )

    @property
    def states(self) -> dict[tuple[str, int], PartitionState] | None:
        """What is known of its partitions."""
        return partition_states(self.consumer)


def test_without_an_assignment_nothing_is_known() -> None:
    """Neither before the first one nor after the last; one of no partitions is one."""

    async def case() -> None:
        member = Member()
        known = []
        for change in (
            lambda: None,
            lambda: member.subscription.assign_from_subscribed({TP}),
            member.subscription.begin_reassignment,
            lambda: member.subscription.assign_from_subscribed(set()),
            member.subscription.unsubscribe,
        ):
            change()
            states = member.states
            known.append((states if states is None else len(states), has_joined(member.consumer)))
        assert known == [(None, False), (1, True), (1, False), (0, True), (None, False)]

    asyncio.run(case())


@pytest.mark.parametrize(
    ("highwater", "last_stable", "log_end"),
    [(None, None, None), (9, None, 9), (9, -1, 9), (9, 9, 9), (9, 4, 4)],
    ids=["unanswered", "not told", "none", "no transaction", "open transaction"],
)
def test_the_log_ends_where_reading_ends(
    highwater: int | None, last_stable: int | None, log_end: int | None
) -> None:
    """What an open transaction holds back is not there yet."""

    async def case() -> None:
        member = Member()
        member.subscription.assign_from_subscribed({TP})
        state = member.subscription.subscription.assignment.state_value(TP)
        state.highwater, state.lso = highwater, last_stable
        assert member.states == {AT: PartitionState(None, log_end, None, pending=False)}
        state.seek(2)
        state.timestamp = 17
        member.buffered[TP] = object()
        assert member.states == {AT: PartitionState(2, log_end, 17, pending=True)}

    asyncio.run(case())
