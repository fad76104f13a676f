"""Maintenance windows: by the clock of a place, also where clocks are changed."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_schemas.instants import micros
from inferwatch_streams.alerts.maintenance import SCHEMA, WEEKDAYS, Maintenance
from inferwatch_streams.configuration.file import ConfigurationFile
from inferwatch_streams.errors import ConfigurationError, StreamsSettingsError

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = {"name": "night", "matchers": ["service=chat"], "from": "22:00", "to": "04:00"}


def window(**fields: Any) -> Maintenance:
    """A window as a file has it."""
    return Maintenance.parse({**NIGHT, **fields})


def holds(maintenance: Maintenance, text: str) -> bool:
    """Whether it holds at an instant."""
    return maintenance.when.holds(micros(datetime.fromisoformat(text)))


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    """2026-11-29 is a Sunday."""
    sundays = window(weekdays=["sunday"])
    assert [
        holds(sundays, text)
        for text in (
            "2026-11-28T23:00Z", "2026-11-29T03:59Z", "2026-11-29T21:59Z", "2026-11-29T22:00Z",
            "2026-11-30T03:59Z", "2026-11-30T04:00Z", "2026-11-30T22:00Z",
        )
    ] == [False, False, False, True, True, False, False]  # fmt: skip


def test_a_window_keeps_the_clock_of_its_place() -> None:
    """02:00 in Berlin is 01:00 UTC in winter, and midnight in summer."""
    early = window(**{"from": "02:00", "to": "03:00"}, time_zone="Europe/Berlin")
    assert holds(early, "2026-01-15T01:30Z")
    assert not holds(early, "2026-01-15T00:30Z")
    assert holds(early, "2026-07-15T00:30Z")
    assert not holds(early, "2026-07-15T01:30Z")


def test_what_comes_twice_is_a_window_both_times() -> None:
    """On 2026-10-25 the hour from 02:00 comes twice in Berlin: 00:00 to 02:00 UTC."""
    early = window(**{"from": "02:00", "to": "03:00"}, time_zone="Europe/Berlin")
    told = [
        holds(early, f"2026-10-2{at}") for at in ("4T23:59Z", "5T00:00Z", "5T01:59Z", "5T02:00Z")
    ]
    assert told == [False, True, True, False]


def test_a_window_is_there_though_its_hour_is_not() -> None:
    """On 2026-03-29 there is no 02:00 to 03:00 in Berlin; the window is around where it was."""
    early = window(**{"from": "02:15", "to": "02:45"}, time_zone="Europe/Berlin")
    assert holds(early, "2026-03-29T00:59Z")
    assert holds(early, "2026-03-29T01:01Z")
    assert not holds(early, "2026-03-29T02:00Z")


@given(
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # hypothesis wants them so
    begins=st.integers(0, 1439),
    ends=st.integers(0, 1439),
    days=st.sets(st.sampled_from(WEEKDAYS), min_size=1),
)
def test_whoever_looks_at_the_clock_sees_the_window(
    at: datetime, begins: int, ends: int, days: set[str]
) -> None:
    """Within it by weekday and clock is within it; on days whose clock is not changed, only so."""
    maintenance = window(
        **{"from": begins, "to": ends}, weekdays=[*days], time_zone="Europe/Berlin"
    )
    local = at.astimezone(BERLIN)
    minute, today = local.hour * 60 + local.minute, WEEKDAYS[local.weekday()]
    yesterday = WEEKDAYS[local.weekday() - 1]
    if begins < ends:
        seen = today in days and begins <= minute < ends
    else:
        seen = (today in days and minute >= begins) or (yesterday in days and minute < ends)
    offsets = {
        (local + timedelta(days=day)).replace(hour=hour).utcoffset()
        for day in (-2, -1, 0, 1, 2)
        for hour in (0, 12, 23)
    }
    found = maintenance.when.holds(micros(at))
    assert found or not seen
    if len(offsets) == 1:
        assert found is seen


def test_a_window_may_be_once() -> None:
    """From an instant until another."""
    text = (
        "name: move\nmatchers: [service=chat]\n"
        "start: 2026-12-01T08:00:00+01:00\nend: '2026-12-01T08:00:00Z'\n"
    )
    once = Maintenance.parse(ConfigurationFile("f.yaml", text, SCHEMA).data)
    assert holds(once, "2026-12-01T07:00Z")
    assert not holds(once, "2026-12-01T08:00Z")


def test_a_time_without_quotes_is_what_yaml_makes_of_it() -> None:
    """YAML 1.1 reads 22:00 as 1320 and 02:00 as text: both are times of the clock."""
    text = "name: night\nmatchers: [service=chat]\nfrom: 22:00\nto: 02:00\n"
    night = Maintenance.parse(ConfigurationFile("f.yaml", text, SCHEMA).data)
    assert night.when == window(**{"from": "22:00", "to": "02:00"}).when


@pytest.mark.parametrize(
    "fields",
    [
        {"from": "2:00"},
        {"weekdays": ["someday"]},
        {"weekdays": []},
        {"matchers": []},
        {"start": "2026-12-01T08:00:00Z"},
        {"name": "No Name"},
        {"until": "04:00"},
    ],
)
def test_the_schema_refuses_what_is_no_window(fields: dict[str, Any]) -> None:
    """Before anything is made of it."""
    jsonschema.Draft202012Validator(SCHEMA).validate(NIGHT)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate({**NIGHT, **fields})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"time_zone": "Europe/Atlantis"}, "'Europe/Atlantis' is no time zone"),
        ({"time_zone": "../../etc/passwd"}, "is no time zone"),
        ({"start": "2026-12-01T08:00:00", "end": "x"}, "write time and offset"),
        ({"start": "2026-12-01T08:00:00Z", "end": "2026-12-01T08:00:00Z"}, "end is not after"),
    ],
)
def test_what_the_schema_cannot_see_is_told(fields: dict[str, Any], sentence: str) -> None:
    """One sentence, that says what to write."""
    with pytest.raises(StreamsSettingsError, match=sentence):
        window(**fields)


def test_a_file_names_the_line() -> None:
    """As with all that rules files say."""
    with pytest.raises(ConfigurationError, match=r"f\.yaml:3: from"):
        ConfigurationFile("f.yaml", "name: n\nmatchers: [a=b]\nfrom: 25:00\nto: '04:00'\n", SCHEMA)
