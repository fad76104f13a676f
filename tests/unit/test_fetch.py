"""What aiokafka's fetcher is given: chunks that always move on, transactions as aiokafka's own."""

from __future__ import annotations

from typing import Any

import batches
import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from batches import Record, batch, fetched, marker, rows, sealed
from hypothesis import given, settings
from hypothesis import strategies as st
from test_record_batch import by_aiokafka, by_chunks

from inferwatch_streams.errors import UnsupportedVersionError
from inferwatch_streams.transport import fetch
from inferwatch_streams.transport.fetch import CHUNKS, PartitionChunks, Response

ONE = batch([Record(0, b"one"), Record(1, b"two")], base_offset=4)
TWO = batch([Record(0, b"three")], base_offset=6)
THREE = batch([Record(0, b"four")], base_offset=7)


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Set first, so that afterwards they are as they were.
    monkeypatch.setattr(fetcher, "MemoryRecords", fetcher.MemoryRecords)
    monkeypatch.setattr(fetcher, "PartitionRecords", fetcher.PartitionRecords)
    fetch.install()
    fetch.install()


def unpack(value_deserializer: Any) -> Any:
    """Return what the fetcher makes of a response, as it would."""
    records = fetcher.MemoryRecords(ONE + TWO)
    assert records.has_next()
    return fetcher.PartitionRecords(
        batches.TP, records, None, 5, None, value_deserializer, True, batches.READ_COMMITTED
    )


@pytest.mark.usefixtures("_installed")
def test_a_consumer_of_chunks() -> None:
    """A consumer with the marker gets chunks."""
    (chunk,) = unpack(CHUNKS)
    assert [row[3] for row in rows(chunk)] == [b"two", b"three"]


@pytest.mark.usefixtures("_installed")
def test_other_consumers() -> None:
    """Other consumers in the process get aiokafka's own records, however often it is installed."""
    for deserializer, expected in ((None, b"two"), (bytes.upper, b"TWO")):
        records = unpack(deserializer)
        assert isinstance(records, fetch.STOCK)
        assert next(records).value == expected


@pytest.mark.parametrize("package", ["aiokafka", "faust-streaming"])
def test_other_versions(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version is refused before anything is replaced, with what to install."""
    found = {"aiokafka": fetch.AIOKAFKA, "faust-streaming": fetch.FAUST, package: "9.9"}
    monkeypatch.setattr(fetch, "version", found.__getitem__)
    before = fetcher.PartitionRecords
    with pytest.raises(UnsupportedVersionError, match=rf"{package} 9\.9 .*pip install {package}=="):
        fetch.install()
    assert fetcher.PartitionRecords is before


@pytest.mark.parametrize("cut", range(len(ONE + TWO)))
def test_a_response_that_is_cut_off(cut: int) -> None:
    """Whole batches are read and the last part left out, as by aiokafka."""
    response = (ONE + TWO)[:cut]
    assert Response(response).has_next() == MemoryRecords(response).has_next()
    assert Response(response).size_in_bytes() == MemoryRecords(response).size_in_bytes()
    assert by_chunks(response, 4) == by_aiokafka(response, 4)


@pytest.mark.parametrize("magic", [0, 1, 2])
def test_a_wrong_checksum(magic: int) -> None:
    """It raises when it comes first; what precedes it is delivered, what follows never skipped."""
    bad = bytearray(TWO if magic == 2 else batches.message_set([b"x"], magic=magic, base_offset=6))
    bad[-1] ^= 1
    read = fetched(ONE + bytes(bad) + THREE, 4)
    assert [row[3] for chunk in read for row in rows(chunk)] == [b"one", b"two"]
    assert read.next_fetch_offset == 6
    again = fetched(bytes(bad) + THREE, 6)
    with pytest.raises(CorruptRecordException, match="offset 6"):
        next(again)
    assert list(again) == []
    assert again.next_fetch_offset == 6


@pytest.mark.parametrize("length", [-(2**31), -12, -1, 0, 5, 13])
def test_a_length_that_no_batch_has(length: int) -> None:
    """It raises as a wrong checksum does, and does not send the reader backwards."""
    bad = TWO[:8] + length.to_bytes(4, "big", signed=True) + TWO[12:]
    read = fetched(ONE + bad, 4)
    assert len(list(read)) == 1
    with pytest.raises(CorruptRecordException):
        list(fetched(bad, 6))


@pytest.mark.parametrize(
    "response",
    [
        sealed(ONE, records=b"", count=0),
        marker(5, 5, commit=True),
        marker(5, 5, commit=False),
        sealed(ONE, attributes=batches.CONTROL, producer_id=5),
    ],
)
def test_batches_without_events(response: bytes) -> None:
    """Compacted and control batches give an empty chunk that moves the position past them."""
    for isolation_level in (0, 1):
        (chunk,) = fetched(response, 4, isolation_level=isolation_level)
        assert (len(chunk), chunk.start, chunk.end) == (0, 4, 6)


def test_nothing_new() -> None:
    """Batches below the position give nothing, and do not move it back."""
    read = fetched(ONE, 9)
    assert list(read) == []
    assert read.next_fetch_offset == 9


def test_a_batch_out_of_place() -> None:
    """A batch that lies below those before it neither moves the position back nor hides them."""
    found, position = by_chunks(ONE + batch([Record(0)], base_offset=1) + TWO, 4)
    assert [row[3] for row in found] == [b"one", b"two", b"three"]
    assert position == 7
    assert by_chunks(ONE + batch([Record(0)], base_offset=1), 4) == (found[:2], 6)


def test_a_long_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response gives one chunk of bounded size, whatever it inflates to; the rest is left."""
    monkeypatch.setattr(fetch, "CHUNK_BYTES", 10_000)
    response = b"".join(
        batch([Record(0, bytes(4000))], base_offset=offset, codec=batches.ZSTD)
        for offset in range(10)
    )
    assert len(response) < 2000
    for start, records in ((0, 3), (3, 3), (6, 3), (9, 1), (10, None)):
        assert [len(chunk) for chunk in fetched(response, start)] == [records][: records or 0]
    assert by_chunks(response) == by_aiokafka(response)


@st.composite
def transactions(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int]]]:
    """Draw a log of some producers' transactions, and those of them that were aborted."""
    log, aborted = b"", []
    began: dict[int, int] = {}
    for offset in range(draw(st.integers(1, 12))):
        producer = draw(st.sampled_from([-1, 1, 2, 3]))
        step = draw(st.sampled_from(["data", "data", "commit", "abort"]))
        if step == "data" or producer < 0:
            transactional = producer > 0 and draw(st.integers(0, 4)) > 0
            if transactional:
                began.setdefault(producer, offset)
            log += batch(
                [Record(0, b"%d" % offset)], base_offset=offset, producer_id=producer,
                attributes=batches.TRANSACTIONAL * transactional,
            )  # fmt: skip
        else:
            log += marker(producer, offset, commit=step == "commit")
            first = began.pop(producer, None)
            if step == "abort" and first is not None:
                aborted.append((producer, first))
    return log, draw(st.permutations(aborted))


@settings(max_examples=100, deadline=None)
@given(transactions(), st.integers(0, 1))
def test_transactions(drawn: tuple[bytes, list[tuple[int, int]]], isolation_level: int) -> None:
    """Aborted records are left out under read_committed, as by aiokafka's own classes."""
    log, aborted = drawn
    options: dict[str, Any] = {"aborted": aborted, "isolation_level": isolation_level}
    assert by_chunks(log, **options) == by_aiokafka(log, **options)


def test_unchecked_checksums() -> None:
    """A consumer that asks for no checks has none."""
    bad = bytearray(ONE)
    bad[17] ^= 1
    (chunk,) = PartitionChunks(
        batches.TP, Response(bytes(bad)), None, 4, check_crcs=False, isolation_level=1
    )
    assert len(chunk) == 2
