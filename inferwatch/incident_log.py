"""The incidents as their topic says them now, past the claims of leaders."""

import time
from collections.abc import Mapping
from typing import Final

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.errors import (
    KafkaRefusedError,
    KafkaUnavailableError,
    UnknownSchemaError,
)
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import Registry
from inferwatch_schemas.topics import INCIDENTS
from inferwatch_schemas.wire import decode
from inferwatch_streams.incidents.incident import Incident
from inferwatch_streams.leading.fence import Fence
from inferwatch_streams.leading.partition_log import PartitionLog

ANSWER_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.2


def incidents_now(kafka: KafkaSettings, registry: Registry) -> Mapping[str, Incident]:
    """The newest state of each incident that counts, by its id; those that changed last come last.

    Raises:
        KafkaUnavailableError: No broker answered in time.
        KafkaRefusedError: The topic does not exist, or may not be read.
    """
    if INCIDENTS.name not in TopicAdmin(kafka).ids([INCIDENTS.name]):
        raise KafkaRefusedError(
            f"Kafka at {kafka.bootstrap_servers} has no topic {INCIDENTS.name}; "
            "run: inferwatch topics create"
        )
    newest, fence, ended = dict[str, bytes](), Fence(), False
    deadline = time.monotonic() + ANSWER_SECONDS
    with PartitionLog(kafka, INCIDENTS.name, ANSWER_SECONDS) as log:
        low, _ = log.bounds()
        log.start(low)
        while not ended:
            if time.monotonic() > deadline:
                raise KafkaUnavailableError(
                    f"Kafka at {kafka.bootstrap_servers} does not send {INCIDENTS.name} to its end."
                )
            entries, ended = log.read(POLL_SECONDS)
            for entry in entries:
                if fence.accepts(entry.key, entry.value is None, entry.epoch, entry.offset):
                    newest.pop(entry.key or "", None)
                    if entry.value is not None:
                        newest[entry.key or ""] = entry.value
    return {
        key: incident
        for key, value in newest.items()
        if (incident := _incident(value, registry)) is not None
    }


def _incident(value: bytes, registry: Registry) -> Incident | None:
    try:
        return Incident.from_record(decode(value, registry))
    except (UnknownSchemaError, ValueError, KeyError):
        # The worker counts and tells it; others can be shown all the same.
        return None
