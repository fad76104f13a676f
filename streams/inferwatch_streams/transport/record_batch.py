"""From the bytes of a fetch response to its batches: headers, checksums, decompression.

Kafka protocol guide, "Record Batch" (magic 2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from inferwatch_streams.transport.inflate import (
    MAX_INFLATED_BYTES,
    Scratch,
    TooLargeError,
    inflate,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
LOG_OVERHEAD: Final = 12  # base offset and length, which the length does not count
MAGIC_AT: Final = 16
CRC_COVERS_FROM: Final = 21
CODEC_MASK: Final = 0x07
TRANSACTIONAL_MASK: Final = 0x10
CONTROL_MASK: Final = 0x20
MAGIC: Final = 2
# The formats before: offset, length, checksum, magic, attributes, time (magic 1), key, value.
LEGACY_ATTRIBUTES_AT: Final = 17
LEGACY_KEY_AT: Final = (18, 26)
LEGACY_BYTES: Final = 26
# Far from where a sum of offsets would overflow. No checksum covers the first offset of a batch.
MAX_OFFSET: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Batch:
    """Header of one record batch, with its bytes."""

    raw: memoryview
    base_offset: int
    next_offset: int
    magic: int
    crc: int
    attributes: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    count: int

    @property
    def is_control(self) -> bool:
        """Whether it holds markers of transactions, no records of anyone."""
        return bool(self.attributes & CONTROL_MASK)

    @property
    def is_transactional(self) -> bool:
        """Whether it was written within a transaction."""
        return bool(self.attributes & TRANSACTIONAL_MASK)

    def check_crc(self) -> None:
        """Hold the batch's checksum against its bytes.

        Raises:
            CorruptRecordException: They differ: the bytes changed on their way.
        """
        if self.magic >= MAGIC:
            honest = calc_crc32c(self.raw[CRC_COVERS_FROM:]) == self.crc
        else:
            honest = MemoryRecords(bytes(self.raw)).next_batch().validate_crc()
        if not honest:
            raise CorruptRecordException(f"CRC of the batch at offset {self.base_offset}")


def has_batch(response: bytes | memoryview) -> bool:
    """Whether a response holds at least one whole batch."""
    if len(response) < LOG_OVERHEAD:
        return False
    (length,) = struct.unpack_from(">i", response, LOG_OVERHEAD - 4)
    return LOG_OVERHEAD + int(length) <= len(response)


def split_batches(response: bytes) -> Iterator[Batch]:
    """The batches of a response; the last, when the response cut it off, is left out.

    Raises:
        CorruptRecordException: A length that no batch has, so that where the next one begins is
            unknown; or an offset that none has.
    """
    view = memoryview(response)
    pos = 0
    while has_batch(view[pos:]):
        base_offset, length = struct.unpack_from(">qi", view, pos)
        raw = view[pos : pos + LOG_OVERHEAD + max(0, length)]
        pos += len(raw)
        magic = raw[MAGIC_AT] if len(raw) > MAGIC_AT else MAGIC
        if len(raw) < (HEADER.size if magic >= MAGIC else LEGACY_BYTES):
            raise CorruptRecordException(f"The batch at offset {base_offset} has {length} bytes")
        if base_offset >= MAX_OFFSET:
            raise CorruptRecordException(f"A batch says that it is at offset {base_offset}")
        if magic < MAGIC:
            # An old message set: one message, or a wrapper whose own offset is the last one's.
            yield Batch(raw, base_offset, base_offset + 1, magic, 0, 0, 0, 0, -1, 1)
            continue
        head = HEADER.unpack_from(raw)
        yield Batch(
            raw, base_offset, base_offset + head[6] + 1, magic, head[4], head[5],
            head[7], head[8], head[9], head[12],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A batch whose records are at hand.

    Attributes:
        batch: The batch.
        records: They, decompressed, until the scratch memory is cleared; None where they cannot be,
            and nothing of an old message set.
        size: Bytes that it took, or may take, to have them.
    """

    batch: Batch
    records: memoryview | None
    size: int


def open_batch(batch: Batch, scratch: Scratch) -> Section:
    """Decompress a batch's records.

    An old message set is left as it is, if it inflates at all.
    """
    size = len(batch.raw)
    try:
        if batch.magic < MAGIC:
            return Section(batch, memoryview(b""), size + _message_set_size(batch))
        codec, raw = batch.attributes & CODEC_MASK, batch.raw[HEADER.size :]
        if not codec:
            return Section(batch, raw, size)
        records = scratch.inflate(codec, raw)
        scratch.used += len(records)
    except TooLargeError:
        # A poll that meets many of these must end.
        return Section(batch, None, size + MAX_INFLATED_BYTES)
    except (ValueError, struct.error):
        return Section(batch, None, size)
    return Section(batch, records, size + len(records))


def _message_set_size(batch: Batch) -> int:
    """Bytes that a wrapper inflates to: aiokafka will inflate it without a bound.

    Raises:
        ValueError: It does not inflate, or to too much.
    """
    number = batch.raw[LEGACY_ATTRIBUTES_AT] & CODEC_MASK
    if not number:
        return 0
    at = LEGACY_KEY_AT[batch.magic]
    (key_size,) = struct.unpack_from(">i", batch.raw, at)
    return len(inflate(number, batch.raw[at + 8 + max(0, key_size) :]))
