"""aiokafka's fetcher, made to deliver chunks instead of records.

The fetcher holds the bytes of a response in ``MemoryRecords`` and unpacks them in
``PartitionRecords``; both are module attributes, and two classes in their place are all it takes.
A consumer asks for chunks by passing ``CHUNKS`` as its value deserializer; any other consumer in
the process is served by aiokafka's own classes as ever.
"""

from __future__ import annotations

import threading
from collections import deque
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from inferwatch_streams.errors import UnsupportedVersionError
from inferwatch_streams.transport.assemble import make_chunk, make_usual_chunk
from inferwatch_streams.transport.inflate import Scratch
from inferwatch_streams.transport.record_batch import has_batch, open_batch, split_batches
from inferwatch_streams.transport.usual import take_usual

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_streams.transport.record_batch import Batch, Section

AIOKAFKA: Final = "0.14.0"
FAUST: Final = "0.15.3"
# Version and type with which the key of an abort marker begins.
ABORT: Final = b"\0\0\0\0"
STOCK: Final = fetcher.PartitionRecords
# Bytes, compressed and not, at which a chunk is full: a response of the usual megabyte fills none.
CHUNK_BYTES: Final = 16 * 1024 * 1024


def CHUNKS(value: bytes) -> bytes:  # noqa: N802  # a marker, never called
    """Marks a consumer whose records are to be delivered as chunks."""
    return value


def check_versions() -> None:
    """Refuse to run on other internals than these classes were written against.

    Raises:
        UnsupportedVersionError: Names the package and the version to install.
    """
    for package, wanted in (("aiokafka", AIOKAFKA), ("faust-streaming", FAUST)):
        if (found := version(package)) != wanted:
            raise UnsupportedVersionError(
                f"{package} {found} is installed and its internals may differ; "
                f"run: pip install {package}=={wanted}"
            )


class Response:
    """In place of ``MemoryRecords``: the bytes of one partition in a fetch response."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def has_next(self) -> bool:
        """Whether there is at least one whole batch."""
        return has_batch(self.data)

    def size_in_bytes(self) -> int:
        """Bytes in all, the batch that was cut off included."""
        return len(self.data)


class PartitionChunks:
    """In place of ``PartitionRecords``: iterates over the chunk of one response."""

    def __init__(  # noqa: PLR0913  # what aiokafka passes
        self,
        tp: Any,
        response: Response,
        aborted_transactions: Iterable[tuple[int, int]] | None,
        fetch_offset: int,
        *,
        check_crcs: bool,
        isolation_level: int,
    ) -> None:
        self._tp = tp
        self._aborted = deque(sorted(aborted_transactions or (), key=lambda entry: entry[1]))
        self._aborted_producers: set[int] = set()
        self._check_crcs = check_crcs
        self._committed_only = isolation_level == fetcher.READ_COMMITTED
        #: aiokafka reads on from here; it must move past batches that hold nothing for us too.
        self.next_fetch_offset = fetch_offset
        # A generator: it ends with its first error, and aiokafka fetches again from there.
        self._chunks = self._make_chunks(response.data)

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def _make_chunks(self, response: bytes) -> Iterator[Chunk]:
        """At most one chunk: what is left of a response that inflates to more is fetched again.

        The bound would be none if all its chunks were made at once, as aiokafka asks for them.
        """
        topic, partition = self._tp
        first = end = self.next_fetch_offset
        scratch = _scratch()
        usual = take_usual(response, first, scratch, CHUNK_BYTES)
        if usual is not None and usual.end == first:
            return
        if usual is not None and (chunk := make_usual_chunk(topic, partition, first, usual)):
            self.next_fetch_offset = chunk.end
            yield chunk
            return
        taken: list[Section] = []
        size = 0
        scratch.clear()
        try:
            for batch in split_batches(response):
                if self._check_crcs:
                    batch.check_crc()
                if self._is_event(batch) and batch.next_offset > end:
                    taken.append(open_batch(batch, scratch))
                    size += taken[-1].size
                end = max(end, batch.next_offset)
                if size >= CHUNK_BYTES:
                    break
        except CorruptRecordException:
            # aiokafka would drop what came before it. The next fetch begins with this batch.
            if end == first:
                raise
        if end > first:
            self.next_fetch_offset = end
            yield make_chunk(topic, partition, first, end, taken)

    def _is_event(self, batch: Batch) -> bool:
        """Whether a batch holds records that count: none of control, none that was aborted."""
        if self._committed_only and batch.producer_id >= 0:
            while self._aborted and self._aborted[0][1] <= batch.base_offset:
                self._aborted_producers.add(self._aborted.popleft()[0])
            if batch.is_control and _is_abort(batch):
                # Discarded, not removed: Kafka may end a transaction of which nothing was kept.
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return False
        return not batch.is_control


# Each consumer's thread has its own.
_threads: Final = threading.local()


def _scratch() -> Scratch:
    if not hasattr(_threads, "scratch"):
        _threads.scratch = Scratch(CHUNK_BYTES)
    found: Scratch = _threads.scratch
    return found


def _is_abort(batch: Batch) -> bool:
    read = MemoryRecords(bytes(batch.raw)).next_batch()
    record = next(iter(read), None)
    return record is not None and (record.key or b"").startswith(ABORT)


def partition_records(  # noqa: PLR0913, PLR0917  # aiokafka's signature
    tp: Any,
    records: Response,
    aborted_transactions: Any,
    fetch_offset: int,
    key_deserializer: Any,
    value_deserializer: Any,
    check_crcs: bool,  # noqa: FBT001  # as above
    isolation_level: int,
) -> Any:
    """In place of the class ``PartitionRecords``: chunks for who asks for them, else the class."""
    if value_deserializer is CHUNKS:
        return PartitionChunks(
            tp, records, aborted_transactions, fetch_offset,
            check_crcs=check_crcs, isolation_level=isolation_level,
        )  # fmt: skip
    return STOCK(
        tp, MemoryRecords(records.data), aborted_transactions, fetch_offset,
        key_deserializer, value_deserializer, check_crcs, isolation_level,
    )  # fmt: skip


def install() -> None:
    """Put the two in place; a second time changes nothing.

    Raises:
        UnsupportedVersionError: aiokafka or Faust is of another version.
    """
    check_versions()
    fetcher.MemoryRecords = Response
    fetcher.PartitionRecords = partition_records
