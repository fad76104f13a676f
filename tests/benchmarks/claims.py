"""What a benchmark must show, told line by line; the exit status follows."""

# A program that reports to whoever runs it.
# ruff: noqa: T201

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Claim:
    """Something that must hold.

    Attributes:
        text: What was found, and what must hold.
        holds: Whether it does.
    """

    text: str
    holds: bool

    def __str__(self) -> str:
        return f"{'holds' if self.holds else 'DOES NOT HOLD'}: {self.text}"


@dataclass(frozen=True)
class Finding:
    """What a scenario came to.

    Attributes:
        figures: For JSON.
        claims: What must hold.
    """

    figures: dict[str, Any]
    claims: list[Claim]


def exit_status(claims: Iterable[Claim]) -> int:
    """Print each claim; 0 where all of them hold, else 1."""
    told = list(claims)
    for claim in told:
        print(claim, flush=True)
    return 0 if all(claim.holds for claim in told) else 1
