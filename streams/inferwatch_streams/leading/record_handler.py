"""What a role does with the records of its topics, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_schemas.columnar.chunk import Assignment, TopicPartition


@dataclass(frozen=True, slots=True)
class TakenRecord:
    """One record of a topic.

    Attributes:
        topic: Where it stands.
        partition: Likewise.
        offset: Likewise.
        timestamp_ms: When the broker took it, in milliseconds since 1970.
        key: Its key; None where it has none.
        schema: Name of its schema; None where it removes its key.
        record: What it says; None where it removes its key.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str | None
    schema: str | None
    record: dict[str, Any] | None


class RecordHandler(Protocol):
    """What a role does with records."""

    async def begin(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        """Forget everything, and begin: take the state over, where there is one.

        What was given before and not said to be done is given again.

        Raises:
            LeadingError: It failed, and is tried again a moment later.
            SchemasError: Likewise.
        """
        ...

    async def take(self, taken: TakenRecord) -> None:
        """Take the next record of its partition.

        Raises:
            LeadingError: This worker leads no more: it begins anew.
        """
        ...

    async def drain(self) -> None:
        """Make durable what was taken, and say so; the partitions are about to be given away."""
        ...
