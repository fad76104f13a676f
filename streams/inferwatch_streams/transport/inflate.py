"""Decompression of record batches, bounded: a few bytes must not become gigabytes."""

from __future__ import annotations

import struct
import zlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from aiokafka import codec

from inferwatch_streams.errors import MissingCodecError
from inferwatch_streams.transport.frame import inflate_frame
from inferwatch_streams.transport.zstd import find_zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A batch is at most max.message.bytes compressed, and producers fill it to a megabyte before
# compression: what inflates beyond this is no honest batch.
MAX_INFLATED_BYTES: Final = 64 * 1024 * 1024
# Room that suffices for all but a few batches: beyond it, decompression begins anew.
USUAL_RATIO: Final = 32
# An LZ4 sequence gives at most 255 bytes for each of its own (LZ4 block format).
LZ4_RATIO: Final = 255
GZIP_WINDOW: Final = 31
# snappy-java's stream of blocks, as its SnappyOutputStream writes it and Kafka's clients take it.
SNAPPY_STREAM: Final = b"\x82SNAPPY\0"
SNAPPY_STREAM_HEADER: Final = 16

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4


def inflate(number: int, data: memoryview) -> bytes | memoryview:
    """Decompress by a codec's number in the attributes of a batch.

    Raises:
        ValueError: The number is no codec's, the bytes are not what it wrote, or they inflate to
            more than MAX_INFLATED_BYTES.
    """
    if number == 0:
        return data
    if number not in _CODECS:
        raise ValueError(f"{number} is no compression codec")
    try:
        return _CODECS[number](data)
    except TooLargeError:
        raise
    except Exception as error:
        # The four libraries have errors of their own, in part made at run time.
        raise ValueError(f"not decompressed: {error}") from error


class TooLargeError(ValueError):
    """Something compressed inflates to more than MAX_INFLATED_BYTES."""


class Scratch:
    """Memory that batches are inflated into, one behind the other. For one thread.

    Neither librdkafka nor the Java client declares how large a zstd frame's contents are. Inflated
    here first, they are copied into memory of just their size; this memory, of which only what was
    once written to exists, stays.

    Attributes:
        memory: The memory.
        used: Bytes of it that are.
        zstd: zstd for compiled code, which inflates into the memory too; None where it cannot.

    Args:
        room: Bytes that are held together, beside one batch of any size.
    """

    def __init__(self, room: int) -> None:
        self.memory = np.empty(room + MAX_INFLATED_BYTES, np.uint8)
        self.used = 0
        self.zstd = find_zstd()
        self._library: Any = None

    def functions(self) -> tuple[int, int, int]:
        """What compiled code calls; zeros where it cannot."""
        zstd = self.zstd
        return (0, 0, 0) if zstd is None else (zstd.context, zstd.decompress, zstd.frame_size)

    def clear(self) -> None:
        """Begin anew: what was inflated is no longer wanted.

        The decompressor goes too: a frame may have made it keep a window of 128 MiB.
        """
        self.used = 0
        self._library = None

    def inflate(self, number: int, data: memoryview) -> memoryview:
        """As the function ``inflate``, behind what is used: who keeps it there moves ``used``.

        Raises:
            ValueError: As there.
        """
        out = self.memory.data[self.used : self.used + MAX_INFLATED_BYTES]
        if number != ZSTD:
            found = inflate(number, data)
            out[: len(found)] = found
            return out[: len(found)]
        if (size := self._inflate_frame(data, len(out))) >= 0:
            return out[:size]
        import zstandard  # noqa: PLC0415  # as in _unzstd

        if self._library is None:
            self._library = zstandard.ZstdDecompressor()
        try:
            with self._library.stream_reader(data) as reader:
                size = reader.readinto(out)
                if size == len(out) and reader.read(1):
                    raise _too_large()
        except zstandard.ZstdError as error:
            raise ValueError(f"not decompressed: {error}") from error
        return out[:size]

    def _inflate_frame(self, data: memoryview, space: int) -> int:
        frame = np.frombuffer(data, np.uint8)
        out = self.memory.ctypes.data + self.used
        return inflate_frame(frame, frame.ctypes.data, 0, len(frame), self.functions(), out, space)


def check_codecs() -> None:
    """Make sure that every compression a producer may choose can be read.

    Raises:
        MissingCodecError: Names the library that is missing.
    """
    for name, library, present in (
        ("gzip", "cramjam", codec.has_gzip()),
        ("snappy", "cramjam", codec.has_snappy()),
        ("lz4", "cramjam", codec.has_lz4()),
        ("zstd", "zstandard", find_spec("zstandard") is not None),
    ):
        if not present:
            raise MissingCodecError(
                f"Records compressed with {name} could not be read; run: pip install {library}"
            )


def _too_large() -> TooLargeError:
    return TooLargeError(f"it has more than {MAX_INFLATED_BYTES} bytes")


def _gunzip(data: memoryview) -> bytes:
    parts: list[bytes] = []
    room, rest = MAX_INFLATED_BYTES, bytes(data)
    while rest:
        member = zlib.decompressobj(GZIP_WINDOW)
        parts.append(member.decompress(rest, room + 1))
        room -= len(parts[-1])
        if room < 0:
            raise _too_large()
        if not member.eof:
            raise ValueError("it ends within a member")
        rest = member.unused_data.lstrip(b"\0")
    return b"".join(parts)


def _unsnappy(data: memoryview) -> bytes:
    library = codec.cramjam.snappy
    blocks = list(_snappy_blocks(data))
    if sum(library.decompress_raw_len(block) for block in blocks) > MAX_INFLATED_BYTES:
        raise _too_large()
    return b"".join(bytes(library.decompress_raw(block)) for block in blocks)


def _snappy_blocks(data: memoryview) -> Iterator[bytes]:
    if bytes(data[: len(SNAPPY_STREAM)]) != SNAPPY_STREAM:
        yield bytes(data)
        return
    at = SNAPPY_STREAM_HEADER
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if not 0 <= size <= len(data) - at:
            raise ValueError("a block ends after it")
        yield bytes(data[at : at + size])
        at += size


def _unlz4(data: memoryview) -> bytes:
    source = bytes(data)
    most = min(MAX_INFLATED_BYTES, LZ4_RATIO * len(source) + 1)
    for room in (min(most, USUAL_RATIO * len(source)), most):
        # Not zeroed: what is not written to takes no memory.
        out = np.empty(room, np.uint8)
        try:
            size = codec.cramjam.lz4.decompress_into(source, out)
        except codec.cramjam.DecompressionError:
            if room == most:
                raise
            continue
        return out[:size].tobytes()
    raise _too_large()


def _unzstd(data: memoryview) -> bytes:
    import zstandard  # noqa: PLC0415  # this module must load without it, so that it can be told

    size = zstandard.frame_content_size(data)
    if size > MAX_INFLATED_BYTES:
        raise _too_large()
    library = zstandard.ZstdDecompressor()
    for room in (USUAL_RATIO * len(data), MAX_INFLATED_BYTES):
        try:
            return library.decompress(data, max_output_size=room, allow_extra_data=False)
        except zstandard.ZstdError:
            if size >= 0 or room == MAX_INFLATED_BYTES:
                raise
    raise _too_large()


_CODECS: Final[dict[int, Callable[[memoryview], bytes]]] = {
    GZIP: _gunzip,
    SNAPPY: _unsnappy,
    LZ4: _unlz4,
    ZSTD: _unzstd,
}
