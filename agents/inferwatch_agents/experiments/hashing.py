"""GrowthBook's hash, version 2: the same user gets the same variant in every process and language.

From GrowthBook's description of its SDKs ("Build your own SDK": hashing, bucket ranges,
namespaces). One thing is ours: text is hashed as UTF-8. GrowthBook's JavaScript SDK hashes UTF-16
code units and its Python SDK code points, so that ids with characters beyond ASCII fall into other
buckets there; for ASCII all are the same.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

BUCKETS: Final = 10_000
NAMESPACE_BUCKETS: Final = 1_000
_FNV_OFFSET: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193
_MASK: Final = 0xFFFFFFFF


def fnv1a_32(data: bytes) -> int:
    """FNV-1a of 32 bits (Fowler, Noll, Vo)."""
    state = _FNV_OFFSET
    for byte in data:
        state = ((state ^ byte) * _FNV_PRIME) & _MASK
    return state


def bucket(seed: str, user: str) -> float:
    """Where a user stands between 0 and 1, in steps of 1/10,000: hash version 2."""
    once = fnv1a_32(_utf8(seed + user))
    return fnv1a_32(str(once).encode()) % BUCKETS / BUCKETS


def namespace_bucket(namespace: str, user: str) -> float:
    """Where a user stands in a namespace, in steps of 1/1,000: hash version 1, as GrowthBook's."""
    return fnv1a_32(_utf8(f"{user}__{namespace}")) % NAMESPACE_BUCKETS / NAMESPACE_BUCKETS


def bucket_ranges(weights: Sequence[float], coverage: float) -> list[tuple[float, float]]:
    """The users of each variant: from the first number on, and below the second.

    A range begins where the weights before it end, whatever the coverage: raising that moves nobody
    who was in.
    """
    starts = accumulate(weights, initial=0.0)
    return [(start, start + coverage * weight) for start, weight in zip(starts, weights)]  # noqa: B905  # there is one start more


def _utf8(text: str) -> bytes:
    # Half of a surrogate pair is no character, and still somebody's id.
    return text.encode("utf-8", "surrogatepass")
