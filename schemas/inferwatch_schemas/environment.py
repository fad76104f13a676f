"""Settings from environment variables: converted and checked alike in every component."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KINDS: Final = {int: "whole number", float: "number", str: "text"}


def converted(
    environment: Mapping[str, str],
    prefix: str,
    kinds: Mapping[str, type[int | float | str]],
    refused: Callable[[str], Exception],
) -> dict[str, Any]:
    """Values of the variables that are set, by name: ``flush_seconds`` from PREFIX_FLUSH_SECONDS.

    Args:
        environment: All variables.
        prefix: What the variables begin with.
        kinds: Type of each name.
        refused: The component's error, made from a sentence.

    Raises:
        Exception: A value is not of its type: what ``refused`` made of the sentence.
    """
    found: dict[str, Any] = {}
    for name, kind in kinds.items():
        variable = f"{prefix}_{name.upper()}"
        if variable not in environment:
            continue
        try:
            found[name] = kind(environment[variable])
        except ValueError as error:
            raise refused(
                f"{variable} is {environment[variable]!r}, which is no {_KINDS[kind]}."
            ) from error
    return found


def check_above_zero(
    numbers: Mapping[str, float], prefix: str, refused: Callable[[str], Exception]
) -> None:
    """Hold numbers against what their settings ask of them.

    Args:
        numbers: Value of each name.
        prefix: What the variables begin with.
        refused: As in ``converted``.

    Raises:
        Exception: One is not finite and above 0: what ``refused`` made of the sentence.
    """
    for name, value in numbers.items():
        # Written so that NaN, which compares false, is refused.
        if not 0 < value < math.inf:
            raise refused(f"{prefix}_{name.upper()} is {value}; it must be above 0 and finite.")
