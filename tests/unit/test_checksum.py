"""The checksum of record batches, by the processor's instruction and by tables."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.transport import checksum

WAYS = [
    checksum.by_tables,
    pytest.param(
        checksum.by_instruction,
        marks=pytest.mark.skipif(
            not checksum.INSTRUCTION, reason="this processor has no instruction for it"
        ),
    ),
]


@given(st.binary(max_size=200), st.integers(0, 40))
def test_a_checksum_is_what_kafka_s_client_computes(data: bytes, begin: int) -> None:
    """Of any part of some bytes."""
    begin = min(begin, len(data))
    found = checksum.crc32c(np.frombuffer(data, np.uint8), begin, len(data))
    assert found == calc_crc32c(data[begin:])


@pytest.mark.parametrize("way", WAYS)
def test_both_ways_take_words_in_alike(way: Any) -> None:
    """RFC 3720, appendix B.4: 32 bytes of zeros, of ones, and rising; less than a word is left."""
    for data, expected in (
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ):
        words = np.frombuffer(data + b"left", np.uint8)
        crc, pos = way(words, np.uint32(0xFFFFFFFF), 0, len(words))
        assert (crc ^ 0xFFFFFFFF, pos) == (expected, 32)


def test_code_for_any_processor_goes_by_tables() -> None:
    """Compiled without the instruction, a checksum is the same."""
    program = (
        "import numpy as np\n"
        "from inferwatch_streams.transport import checksum\n"
        "assert not checksum.INSTRUCTION\n"
        "print(hex(checksum.crc32c(np.arange(32, dtype=np.uint8), 0, 32)))\n"
    )
    environment = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "PATH": ""}
    done = subprocess.run(  # noqa: S603  # this very interpreter
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0x46dd794e"
