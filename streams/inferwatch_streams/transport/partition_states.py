"""What aiokafka's client knows of its partitions: the one place that looks into it for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inferwatch_schemas.columnar.chunk import TopicPartition


@dataclass(frozen=True, slots=True)
class PartitionState:
    """One assigned partition.

    Attributes:
        fetched: Offset up to which it was fetched and handed to Faust; None before the first seek.
        log_end: Offset after the last record that may be read, from the latest answer to a fetch:
            what an open transaction still holds back is not counted. None before the first.
        answered: When that answer came, in milliseconds of the machine's clock.
        pending: Whether an answer waits in the client, so that it asks for no other.
    """

    fetched: int | None
    log_end: int | None
    answered: int | None
    pending: bool


def partition_states(consumer: Any) -> dict[TopicPartition, PartitionState] | None:
    """States of a consumer's partitions, also from another thread; None without an assignment.

    The log's end is that of the answers to fetches. The embedded broker lists ends that lie before
    the true one (docs/decisions/0014), and asking would take a request that may hang itself.
    """
    subscription = consumer._subscription.subscription  # noqa: SLF001  # no public call tells this without waiting
    assignment = subscription.assignment if subscription else None
    if assignment is None or not assignment.active:
        return None
    pending = consumer._fetcher._records  # noqa: SLF001  # as above
    states: dict[TopicPartition, PartitionState] = {}
    for tp in assignment.tps:
        state = assignment.state_value(tp)
        states[tp.topic, tp.partition] = PartitionState(
            fetched=state.position if state.has_valid_position else None,
            log_end=_readable_end(state.highwater, state.lso),
            answered=state.timestamp,
            pending=tp in pending,
        )
    return states


def has_joined(consumer: Any) -> bool:
    """Whether the consumer is a settled member of its group."""
    subscription = consumer._subscription.subscription  # noqa: SLF001  # as above
    return (
        subscription is not None
        and subscription.assignment is not None
        and subscription.assignment.active
        and not subscription._reassignment_in_progress  # noqa: SLF001  # as above
    )


def _readable_end(highwater: int | None, last_stable: int | None) -> int | None:
    if highwater is None or last_stable is None or last_stable < 0:
        return highwater
    return min(highwater, last_stable)
