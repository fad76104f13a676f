"""What currencies were worth in US dollars, from which day on; nothing is guessed.

    {"EUR": [{"valid_from": "2025-01-02", "usd": "1.0353"}, {"valid_from": "2025-07-01", ...}]}

Rates are text, in US dollars for one unit of the currency, each from a day (UTC) on until the next.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from inferwatch_agents.dated_numbers import start_of_day, whole_units

if TYPE_CHECKING:
    from collections.abc import Callable

# The events' currency.
BASE: Final = "USD"
DECIMALS: Final = 12
# Of these, a dollar has so many.
UNITS: Final = 10**DECIMALS
# Codes as ISO 4217 has them; which of them exist, the rates of the table say.
_CODE: Final = re.compile(r"[A-Z]{3}", re.ASCII)


class Rate(NamedTuple):
    """A rate from one day on.

    Attributes:
        valid_from: Microseconds since 1970 (UTC) of that day's start.
        usd: Worth of one unit of the currency, in 10**-12 US dollars.
    """

    valid_from: int
    usd: int


# Of the dollar itself; before 1970 nothing was called.
PAR: Final = (Rate(0, UNITS),)


def rate_at(rates: tuple[Rate, ...], at: int) -> int | None:
    """The rate that holds at a time, or None where none does yet.

    Args:
        rates: Newest first.
        at: Microseconds since 1970 (UTC).
    """
    return next((rate.usd for rate in rates if rate.valid_from <= at), None)


def parse_rates(
    table: dict[str, Any], refused: Callable[[str], Exception]
) -> dict[str, tuple[Rate, ...]]:
    """Rates by currency, newest first, the dollar's own among them.

    Args:
        table: Currency to rows of ``valid_from`` and ``usd``.
        refused: Makes the error of a sentence.

    Raises:
        Exception: A code, a day or a rate is none, or a day is there twice: what ``refused`` made.
        KeyError, TypeError, AttributeError: It has another form.
    """
    found: dict[str, tuple[Rate, ...]] = {BASE: PAR}
    for currency, rows in table.items():
        if not _CODE.fullmatch(currency):
            raise refused(f"has rates of {currency!r}, which is no code of ISO 4217 like EUR")
        if currency == BASE:
            raise refused(f"has rates of {BASE}, which all others are in; remove them")
        rates = sorted((_rate(currency, row, refused) for row in rows), reverse=True)
        if len({rate.valid_from for rate in rates}) < len(rates):
            raise refused(f"has two rates of {currency} with one valid_from")
        found[currency] = tuple(rates)
    return found


def _rate(currency: str, row: dict[str, Any], refused: Callable[[str], Exception]) -> Rate:
    try:
        day = start_of_day(row["valid_from"])
    except ValueError as error:
        raise refused(
            f"has a rate of {currency} whose valid_from is {row['valid_from']!r}; it must be a day "
            "like 2025-07-01"
        ) from error
    usd = whole_units(row["usd"], DECIMALS)
    if not usd:
        raise refused(
            f"has {row['usd']!r} as a rate of {currency}; it must be US dollars for one {currency} "
            f'as text like "1.0353", above 0 and with {DECIMALS} decimals at most'
        )
    return Rate(day, usd)
