"""What tables of prices and exchange rates are written in: days, and decimal numbers as text.

Numbers are text because a JSON number would have been through binary floating point.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

MICROS: Final = 1_000_000
# Beyond these a number is a mistake, and its exact value would take all memory.
_MOST_DIGITS: Final = 100


def start_of_day(text: str) -> int:
    """Microseconds from 1970 to the start (UTC) of a day like 2025-07-01.

    Raises:
        ValueError: The text is no such day.
    """
    day = date.fromisoformat(text)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * MICROS


def whole_units(text: Any, decimals: int) -> int | None:
    """A number of at least 0 as a whole number of units of its last decimal, exactly.

    Args:
        text: Like ``"2.50"``.
        decimals: How many it may have: with 3, ``"2.50"`` is 2500.

    Returns:
        None where it is no text, no such number, or has more decimals than that.
    """
    try:
        number = Decimal(text) if isinstance(text, str) else Decimal("NaN")
    except InvalidOperation:
        return None
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or sign or not -_MOST_DIGITS < exponent < _MOST_DIGITS:
        return None
    # In whole numbers: decimal's own multiplication rounds to the digits of its context.
    units, rest = divmod(
        int("".join(map(str, digits))) * 10 ** max(0, exponent + decimals),
        10 ** max(0, -exponent - decimals),
    )
    return None if rest else units
