"""What the live view and the final summary read from ClickHouse."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from avro_rows import store

from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch_clickhouse import queries
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.queries import ServiceRates, Totals
from inferwatch_clickhouse.settings import ClickHouseSettings

NOON = datetime(2023, 11, 16, 12, tzinfo=UTC)


def _row(seconds: int, **given: Any) -> dict[str, Any]:
    return {
        "signal": "requests.v1",
        "service": "chat",
        "model": "m",
        "window_start": int(NOON.timestamp() * 1000) + seconds * 1000,
        "window_seconds": 10,
        "version": 1,
        **given,
    }


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """Yield a migrated ClickHouse without a row."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with EmbeddedClickHouse(folder / "data", folder) as server:
        settings = ClickHouseSettings(url=server.url, database="without_a_row")
        migrate(settings)
        yield ClickHouse(settings)


@pytest.fixture(scope="module")
def filled(empty: ClickHouse) -> ClickHouse:
    """Return ClickHouse with a minute of two services."""
    settings = ClickHouseSettings(url=empty.settings.url, database="filled")
    migrate(settings)
    clickhouse = ClickHouse(settings)
    measured = {
        "durations": 10,
        "duration_bin_indexes": [-32768, 0, 31],
        "duration_bin_counts": [5, 4, 1],
    }
    priced = {"cost_usd_micros": 1_000_000, "priced_requests": 10}
    store(
        clickhouse,
        "request_aggregate",
        [
            _row(0, requests=100, errors=50, output_tokens=1),
            _row(30, requests=10, errors=1, output_tokens=100, **measured, **priced),
            _row(50, requests=10, errors=0, output_tokens=500, endpoint="/b"),
            _row(50, requests=5, service="search", input_tokens=7),
        ],
    )
    place = {"source_topic": "s", "topic_id": "t", "partition": 0}
    store(
        clickhouse,
        "dead_letter",
        [
            {**place, "offset": 1, "reason": "empty", "reader": "worker"},
            {**place, "offset": 1, "reason": "empty", "reader": "sink"},
            {**place, "offset": 2, "reason": "empty", "reader": "worker"},
            {**place, "offset": 3, "reason": "wrong_magic", "reader": "worker"},
        ],
    )
    resource = {"signal": "resources.v1", "window_start": NOON, "samples": 3}
    store(clickhouse, "resource_aggregate", [resource])
    return clickhouse


def test_rates_are_over_the_windows_that_were_asked(filled: ClickHouse) -> None:
    """The stretch starts with the whole window of 12:00:20, so it is 35 seconds long."""
    chat, search = queries.service_rates(filled, NOON + timedelta(seconds=55), 30)
    assert chat == ServiceRates(
        service="chat",
        model="m",
        requests=20,
        errors=1,
        requests_per_second=20 / 35,
        error_rate=0.05,
        p50=0.0,
        p95=chat.p95,
        p99=chat.p95,
        tokens_per_second=600 / 35,
        cost_usd_per_hour=pytest.approx(3600 / 35),
    )
    assert chat.p95 == pytest.approx(2, rel=0.022)
    assert (search.requests, search.p50, search.cost_usd_per_hour) == (5, None, None)


def test_rates_end_where_they_were_asked_to(filled: ClickHouse) -> None:
    """The window that starts at the end does not belong, in whatever zone the end is told."""
    [rates] = queries.service_rates(filled, (NOON + timedelta(seconds=50)).astimezone(), 20)
    assert (rates.requests, rates.requests_per_second) == (10, 0.5)


def test_nothing_stored_is_nothing_and_no_error(empty: ClickHouse) -> None:
    """Before the first event there are no rates, no window and no cost."""
    assert queries.service_rates(empty, NOON, 60) == ()
    assert queries.latest_window(empty) is None
    assert queries.dead_letters_by_reason(empty) == {}
    assert queries.totals(empty) == Totals(
        0, 0, 0, 0, None, None, None, None, None, None, 0, 0, 0, 0
    )
    assert set(queries.stored_records(empty).values()) == {0}


def test_the_latest_window(filled: ClickHouse) -> None:
    """It is that of the newest event, in UTC."""
    assert queries.latest_window(filled) == NOON + timedelta(seconds=50)


def test_a_bad_record_counts_once_by_reason(filled: ClickHouse) -> None:
    """Two readers of one bad record do not make it two."""
    assert queries.dead_letters_by_reason(filled) == {"empty": 2, "wrong_magic": 1}


def test_totals_are_over_everything(filled: ClickHouse) -> None:
    """Sums, quantiles and the first and last window of all services."""
    total = queries.totals(filled)
    assert (total.requests, total.errors) == (125, 51)
    assert (total.input_tokens, total.output_tokens, total.cost_usd) == (7, 601, 1.0)
    assert total.p50 == 0.0
    assert total.p99 == pytest.approx(2, rel=0.022)
    assert (total.first_window, total.last_window) == (NOON, NOON + timedelta(seconds=50))
    assert (total.measurements, total.exposures, total.conversions) == (3, 0, 0)


def test_stored_records_are_counted_by_view(filled: ClickHouse) -> None:
    """Each view is named with the records it holds."""
    found = queries.stored_records(filled)
    assert found["request_aggregates"] == 4
    assert found["dead_letters"] == 4
    assert found["requests"] == 0
