"""Totals loaded while the worker still starts: joining the group takes as long as reading them.

Nobody knows then whether this worker will lead, and another may be writing. What was loaded holds
only if, when this worker has made its claim, nothing more has come; else it is loaded again.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.errors import SchemasError
from inferwatch_schemas.topics import AGGREGATES, TOTALS
from inferwatch_streams.errors import LeadingError
from inferwatch_streams.leading.partition_log import end_of
from inferwatch_streams.rules_worker.totals_reading import load_windows

if TYPE_CHECKING:
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.rules_worker.totals_reading import LoadedWindows

log = structlog.get_logger(__name__)

#: For so long it is kept. Who does not lead by then stands by, and does so without hundreds of
#: megabytes that grow old.
KEPT_SECONDS: Final = 30.0
NOT_LOADED: Final = "totals not loaded ahead; it is done when this worker leads"


class LoadingAhead:
    """Loads once, in a thread of its own; its methods may be called by any thread."""

    def __init__(
        self,
        kafka: KafkaSettings,
        registry: Registry,
        load_seconds: float,
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:
        """Do nothing yet.

        Args:
            kafka: How to reach the broker.
            registry: Where schemas come from.
            load_seconds: How long reading the totals may take.
            kept_seconds: How long what was loaded waits for this worker to lead.
        """
        self._kafka = kafka
        self._registry = registry
        self._load_seconds = load_seconds
        self._kept_seconds = kept_seconds
        self._thread: threading.Thread | None = None
        # With the ids of the aggregates and of the totals before they were read.
        self._loaded: tuple[str, str, LoadedWindows] | None = None
        self._done = threading.Event()
        self._wanted = threading.Event()

    def start(self) -> None:
        """Begin to load."""
        # It may not keep a worker that is told to end: what it does nobody misses then.
        self._thread = threading.Thread(target=self._run, name="loading-ahead", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._load()
        except (SchemasError, LeadingError) as error:
            log.info(NOT_LOADED, error=str(error))
        except Exception:
            # As of compiled code that is broken, which the warm-up mends; what stays is met again.
            log.exception(NOT_LOADED)
        finally:
            self._done.set()
        if not self._wanted.wait(self._kept_seconds):
            self._loaded = None

    def _load(self) -> None:
        ids = self._ids(AGGREGATES.name, TOTALS.name)
        if (topic_id := ids.get(AGGREGATES.name)) is not None and TOTALS.name in ids:
            began = time.monotonic()
            loaded = load_windows(self._kafka, self._registry, topic_id, self._load_seconds)
            self._loaded = topic_id, ids[TOTALS.name], loaded
            log.info(
                "totals loaded ahead",
                totals=loaded.records,
                seconds=round(time.monotonic() - began, 3),
            )

    def _ids(self, *names: str) -> dict[str, str]:
        return TopicAdmin(self._kafka, self._load_seconds).ids(names)

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended: what it loaded was taken, or let go of."""
        if self._thread is not None:
            self._thread.join(seconds)

    def take(self, topic_id: str) -> LoadedWindows | None:
        """What was loaded ahead, where it is all that there is; once. Waits while it is loaded.

        Args:
            topic_id: Kafka's id of ``inferwatch.aggregates``, as it was assigned.

        Raises:
            SchemasError: Kafka does not answer, or refuses.
        """
        if self._thread is None:
            return None
        self._thread = None
        self._done.wait()
        self._wanted.set()
        found, self._loaded = self._loaded, None
        if found is None or found[0] != topic_id:
            return None
        _, totals_id, loaded = found
        if end_of(self._kafka, TOTALS.name, self._load_seconds) != loaded.end:
            return None
        # Of totals that were created again, as many may have been written as there were.
        return loaded if self._ids(TOTALS.name).get(TOTALS.name) == totals_id else None
