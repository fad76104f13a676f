"""The alerts as they were before a place in their log, read again by a worker that takes over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.errors import KafkaUnavailableError, UnknownSchemaError
from inferwatch_schemas.topics import ALERTS
from inferwatch_streams.alerts.alert import SEVERITIES, Alert
from inferwatch_streams.incidents import metrics
from inferwatch_streams.leading.fence import Fence
from inferwatch_streams.leading.partition_log import PartitionLog
from inferwatch_streams.leading.state_record import named

if TYPE_CHECKING:
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.leading.partition_log import LogEntry

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.2


def alerts_before(
    kafka: KafkaSettings, registry: Registry, offset: int, timeout: float
) -> tuple[dict[str, Alert], int]:
    """The newest state of each alert below an offset, and where the log ends now; blocks.

    Raises:
        KafkaUnavailableError: The broker does not send it in time.
        KafkaRefusedError: The broker refuses.
    """
    fence, newest = Fence(), dict[str, Alert]()
    with PartitionLog(kafka, ALERTS.name, timeout) as reader:
        low, high = reader.bounds()
        if low >= min(offset, high):
            return newest, high
        reader.start(low)
        ended, deadline = False, time.monotonic() + timeout
        while not ended:
            if time.monotonic() > deadline:
                raise KafkaUnavailableError(
                    f"Kafka at {kafka.bootstrap_servers} does not send {ALERTS.name} in time."
                )
            entries, ended = reader.read(POLL_SECONDS)
            for entry in entries:
                if entry.offset >= offset:
                    return newest, high
                if fence.accepts(entry.key, entry.value is None, entry.epoch, entry.offset):
                    _take(newest, entry, registry)
    return newest, high


def _take(newest: dict[str, Alert], entry: LogEntry, registry: Registry) -> None:
    if entry.key is None:
        return
    newest.pop(entry.key, None)
    if entry.value is None:
        return
    try:
        schema, record = named(entry.value, registry)
    except (ValueError, UnknownSchemaError) as error:
        log.warning("an alert cannot be used", offset=entry.offset, error=str(error))
        return
    try:
        if schema == "alert" and record["severity"] in SEVERITIES:
            newest[entry.key] = Alert.from_record(record)
    except (KeyError, TypeError, ValueError) as error:
        metrics.UNREADABLE.labels(ALERTS.name).inc()
        log.error("an alert cannot be used", offset=entry.offset, error=repr(error))  # noqa: TRY400  # it is at fault, not the code
