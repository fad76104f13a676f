"""A member of a consumer group, to be killed: prints its partitions after each assignment.

Arguments: bootstrap servers, group, topic, session timeout in milliseconds, and ``one`` where one
member is to have all partitions.
"""

import asyncio
import json
import sys
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from inferwatch_streams.leading.assignor import OneLeader


class Printer(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """Prints each assignment as a JSON list on a line."""

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Say nothing: what was revoked is assigned to somebody soon."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Print the partitions' numbers."""
        sys.stdout.write(json.dumps(sorted(each.partition for each in assigned)) + "\n")
        sys.stdout.flush()


async def main(servers: str, group: str, topic: str, session_timeout_ms: int, *one: str) -> None:
    """Belong to the group until killed."""
    assignor = OneLeader() if one else RoundRobinPartitionAssignor
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers,
        group_id=group,
        partition_assignment_strategy=[assignor],
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=session_timeout_ms // 4,
    )
    consumer.subscribe([topic], listener=Printer())
    await consumer.start()
    while True:
        await consumer.getmany(timeout_ms=200)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), *sys.argv[5:]))
