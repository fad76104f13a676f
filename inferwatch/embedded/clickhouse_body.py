"""Request bodies of the embedded ClickHouse: read, decompressed and spooled to disk."""

import io
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Protocol

from inferwatch.embedded.clickhouse_errors import (
    CANNOT_DECOMPRESS,
    CANNOT_READ_ALL_DATA,
    NOT_IMPLEMENTED,
    REQUEST_TOO_LARGE,
    ClickHouseError,
)

HEAD_BYTES = 1 << 20  # kept in memory; a statement ends within them
_PIECE = 1 << 18
# A zstd frame may hold 32,768 times its size, so a piece of it must be small.
_COMPRESSED_PIECE = 1 << 12
_MAX_CHUNK_LINE = 1 << 12


class _Decompressor(Protocol):
    """What zlib, zstandard and lz4 share."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def received(source: io.BufferedIOBase, headers: Message, limit: int) -> Iterator[bytes]:
    """The body as it arrives, by Content-Length or in chunks (RFC 9112, sections 6 and 7.1).

    Args:
        source: the connection, after the headers.
        headers: of the request.
        limit: the most bytes that a Content-Length may announce.

    Raises:
        ClickHouseError: the body is over the limit, malformed, or ends early.
    """
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        yield from _chunks(source)
        return
    text = headers.get("Content-Length", "0").strip()
    if not (text.isascii() and text.isdigit()):
        raise ClickHouseError(CANNOT_READ_ALL_DATA, f"Content-Length {text!r} is no number.")
    length = int(text)
    if length > limit:
        raise too_large(limit)
    yield from _exactly(source, length)


def decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The body without its Content-Encoding; compressed parts may follow each other.

    Raises:
        ClickHouseError: the encoding is not known or the data is damaged or truncated.
    """
    if encoding in {"", "identity"}:
        yield from chunks
        return
    create = _decompressor(encoding)
    current = create()
    started = False
    for chunk in chunks:
        for start in range(0, len(chunk), _COMPRESSED_PIECE):
            rest: bytes | None = chunk[start : start + _COMPRESSED_PIECE]
            while rest:
                if current.eof:
                    current = create()
                started = True
                try:
                    yield current.decompress(rest)
                except Exception as error:  # each library raises its own, down to RuntimeError
                    raise ClickHouseError(
                        CANNOT_DECOMPRESS, f"The body is not {encoding}: {error}"
                    ) from error
                rest = current.unused_data
    if started and not current.eof:
        raise ClickHouseError(CANNOT_DECOMPRESS, f"The body's {encoding} data ends early.")


@dataclass(frozen=True)
class Body:
    """A request's body, decompressed and complete.

    Attributes:
        head: its first HEAD_BYTES.
        size: its length in bytes.
    """

    head: bytes
    size: int
    file: tempfile.SpooledTemporaryFile[bytes]

    def pieces(self, start: int) -> Iterator[bytes]:
        """The body from the byte `start` on."""
        if start < len(self.head):
            yield self.head[start:]
        self.file.seek(max(start, len(self.head)))
        while piece := self.file.read(_PIECE):
            yield piece


def spooled(chunks: Iterable[bytes], folder: Path, limit: int) -> Body:
    """Take in a whole body, beyond HEAD_BYTES in a nameless file of the spool folder.

    Nothing runs before the body is complete, so a client that dies half way leaves no rows.

    Raises:
        ClickHouseError: the body is over the limit.
    """
    # Closed with the last reference to the body; on disk it has no name from the start.
    file = tempfile.SpooledTemporaryFile(max_size=HEAD_BYTES, dir=str(folder))  # noqa: SIM115
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        file.write(chunk)
    file.seek(0)
    return Body(file.read(HEAD_BYTES), size, file)


def too_large(limit: int) -> ClickHouseError:
    """The refusal of a body over `limit` bytes."""
    return ClickHouseError(
        REQUEST_TOO_LARGE,
        f"The request's body is over the limit of {limit} bytes: send the rows in several inserts.",
    )


def _exactly(source: io.BufferedIOBase, length: int) -> Iterator[bytes]:
    while length:
        piece = source.read(min(length, _PIECE))
        if not piece:
            raise ClickHouseError(CANNOT_READ_ALL_DATA, "The request's body ends early.")
        length -= len(piece)
        yield piece


def _chunks(source: io.BufferedIOBase) -> Iterator[bytes]:
    while True:
        line = source.readline(_MAX_CHUNK_LINE)
        try:
            length = int(line.split(b";")[0].strip(), 16)
        except ValueError:
            length = -1
        if length < 0 or not line.endswith(b"\n"):
            raise ClickHouseError(CANNOT_READ_ALL_DATA, "The request's chunked body is malformed.")
        if length == 0:
            break
        yield from _exactly(source, length)
        if source.readline(_MAX_CHUNK_LINE).strip():
            raise ClickHouseError(CANNOT_READ_ALL_DATA, "The request's chunked body is malformed.")
    while source.readline(_MAX_CHUNK_LINE).strip():  # trailers
        pass


def _decompressor(encoding: str) -> Callable[[], _Decompressor]:
    if encoding in {"gzip", "x-gzip"}:
        return lambda: zlib.decompressobj(wbits=31)
    if encoding == "deflate":
        return zlib.decompressobj
    if encoding == "zstd":
        import zstandard  # noqa: PLC0415 - most bodies need none of the codecs

        return lambda: zstandard.ZstdDecompressor().decompressobj()
    if encoding == "lz4":
        # There wherever clickhouse-connect would use it.
        import lz4.frame  # noqa: PLC0415 - as above

        return lz4.frame.LZ4FrameDecompressor  # type: ignore[no-any-return]  # lz4 ships no types
    raise ClickHouseError(
        NOT_IMPLEMENTED,
        f"Content-Encoding {encoding} is not supported: use lz4, zstd, gzip or deflate.",
    )
