"""Times as records have them: microseconds since 1970."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_schemas.instants import micros, micros_or_none, moment, moment_text, now_micros

ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES))  # noqa: DTZ001  # as hypothesis wants bounds
def test_no_time_is_rounded(time: datetime) -> None:
    """A time of any zone is the same instant after the way to whole microseconds and back."""
    back = moment(micros(time))
    assert back == time
    assert back.tzinfo is UTC


def test_no_time_stays_none() -> None:
    """What a record leaves out is left out; 1970 itself is a time."""
    assert micros_or_none(None) is None
    assert micros_or_none(datetime(1970, 1, 1, tzinfo=UTC)) == 0


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01 00:00:00Z"),
        (1_999_999, "1970-01-01 00:00:01Z"),
        (-1, "1969-12-31 23:59:59Z"),
        (1_795_645_684_000_000, "2026-11-25 22:28:04Z"),
    ],
)
def test_people_read_times_to_the_second(at: int, text: str) -> None:
    """The fraction is cut off, also before 1970."""
    assert moment_text(at) == text


def test_now_is_between_before_and_after() -> None:
    """The machine's clock is read in microseconds."""
    before = datetime.now(UTC)
    now = now_micros()
    assert micros(before) <= now <= micros(datetime.now(UTC))
