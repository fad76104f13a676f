"""Numbers and days as tables write them: read exactly, or not at all."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_agents.dated_numbers import start_of_day, whole_units


@given(st.decimals(0, 10**40, allow_nan=False), st.integers(0, 15))
def test_a_number_is_exact_or_none(number: Decimal, decimals: int) -> None:
    """What comes back is the number itself; what has more decimals is refused, never rounded."""
    exact = Fraction(abs(number)) * 10**decimals
    expected = exact.numerator if exact.denominator == 1 else None
    assert whole_units(str(abs(number)), decimals) == expected


@pytest.mark.parametrize("text", [2.5, None, True, "-1", "1e400", "1e-400", "Infinity", "sNaN", ""])
def test_what_is_no_such_number_is_none(text: Any) -> None:
    """JSON numbers have been through binary floating point, and are no text."""
    assert whole_units(text, 9) is None


def test_a_day_starts_at_midnight_utc() -> None:
    """Wherever the process runs."""
    assert start_of_day("2025-07-01") == 1_751_328_000_000_000
    with pytest.raises(ValueError, match="Invalid isoformat"):
        start_of_day("July")
