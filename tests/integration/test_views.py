"""What analysts read: versions and blocks resolved, quantiles within 1.1 %, all counted once."""

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from avro_rows import store

from inferwatch_clickhouse.client import ClickHouse

NOON = 1_700_136_000_000  # 2023-11-16 12:00:00 UTC, in milliseconds
ZERO_BIN = -32768


def _request_row(**given: Any) -> dict[str, Any]:
    return {
        "signal": "requests.v1",
        "service": "chat",
        "environment": "production",
        "provider": "openai",
        "model": "m",
        "endpoint": "/v1/chat",
        "window_start": NOON,
        "window_seconds": 10,
        "topic_id": "t",
        "version": 1,
        **given,
    }


def _bins(values: Sequence[float]) -> tuple[list[int], list[int]]:
    """The histogram of values, by the definition in the schema."""
    counts: dict[int, int] = {}
    for value in values:
        index = math.ceil(math.log2(value) * 32) - 1 if value else ZERO_BIN
        counts[index] = counts.get(index, 0) + 1
    return sorted(counts), [counts[index] for index in sorted(counts)]


def _nearest_rank(values: Sequence[float], q: float) -> float:
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]


@pytest.mark.parametrize("seed", range(4))
def test_the_highest_version_wins_and_then_the_lowest_first_offset(
    clickhouse: ClickHouse, seed: int
) -> None:
    """Whatever the order of arrival and of merges, each block's row is the one that must win."""
    rng = random.Random(seed)  # noqa: S311  # not for cryptography
    rows = []
    for block in (0, 1, 65535, 65536, 2**40, 2**47 - 2):
        for window in range(8):
            start = block * 65536
            for _ in range(rng.randint(1, 6)):
                first = start + rng.choice((0, 0, 1, 5, 65534))
                version = rng.choice((first + 1, rng.randint(first + 1, start + 65536)))
                rows.append((block, NOON + window * 10_000, first, version))
    # Equal rows are delivered again, as after a crash.
    rows += rng.sample(rows, len(rows) // 2)
    rng.shuffle(rows)
    # The count is a function of the log, here of what identifies and ranks a row.
    loaded = [
        _request_row(
            block=block,
            window_start=window,
            first_offset=first,
            version=version,
            requests=1 + (first * 31 + version) % 1009,
        )
        for block, window, first, version in rows
    ]
    while loaded:
        size = rng.randint(1, 60)
        store(clickhouse, "request_aggregate", loaded[:size])
        del loaded[:size]
    winners: dict[tuple[int, int], tuple[int, int]] = {}
    for block, window, first, version in rows:
        mine = (version, -first)
        winners[block, window] = max(winners.get((block, window), mine), mine)
    counted: dict[int, int] = {}
    for (_, window), (version, first) in winners.items():
        counted[window] = counted.get(window, 0) + 1 + (-first * 31 + version) % 1009
    ask = "SELECT toUnixTimestamp(window_start) * 1000, requests FROM requests_10s"
    assert dict(clickhouse.query(ask)) == counted
    clickhouse.command("OPTIMIZE TABLE request_aggregates_stored FINAL")
    assert dict(clickhouse.query(ask)) == counted


@pytest.mark.parametrize("seed", range(6))
def test_quantiles_are_within_their_bound(clickhouse: ClickHouse, seed: int) -> None:
    """Merged over blocks and windows, a quantile is within 1.1 % of the element of its rank."""
    rng = random.Random(seed)  # noqa: S311  # not for cryptography
    values = [
        rng.choice((0.0, rng.lognormvariate(0, 3), 1.0, 2.0, 2 ** (1 / 32), 1e6, 1e-9))
        if seed % 2
        else rng.lognormvariate(0, 1)
        for _ in range(rng.choice((1, 2, 19, 1000)))
    ]
    parts = [values[part::3] for part in range(3)]
    store(
        clickhouse,
        "request_aggregate",
        (
            _request_row(
                block=part,
                window_start=NOON + part * 10_000,
                requests=len(some),
                durations=len(some),
                duration_bin_indexes=_bins(some)[0],
                duration_bin_counts=_bins(some)[1],
            )
            for part, some in enumerate(parts)
        ),
    )
    [(p50, p95, p99, p25)] = clickhouse.query(
        "SELECT p50, p95, p99, inferwatchQuantile(0.25, duration_bins) FROM requests_1m"
    )
    for q, estimate in ((0.25, p25), (0.5, p50), (0.95, p95), (0.99, p99)):
        assert estimate == pytest.approx(_nearest_rank(values, q), rel=0.011)
    [(merged,)] = clickhouse.query(
        "SELECT inferwatchQuantile(0.95, sumMap(duration_bins)) FROM requests_10s"
    )
    assert merged == p95


def test_a_window_of_requests(clickhouse: ClickHouse) -> None:
    """Sums, rates and means are over all blocks; what was never measured is NULL."""
    common = {"window_start": NOON, "requests": 4, "input_tokens": 100, "output_tokens": 60}
    store(
        clickhouse,
        "request_aggregate",
        [
            _request_row(
                block=0,
                errors=1,
                error_types=["timeout"],
                error_type_counts=[1],
                durations=4,
                duration_micros=6_000_000,
                cost_usd_micros=250_000,
                priced_requests=2,
                **common,
            ),
            _request_row(
                block=1,
                errors=3,
                error_types=["rate_limit", "timeout"],
                error_type_counts=[1, 2],
                durations=2,
                duration_micros=3_000_000,
                **common,
            ),
            _request_row(service="quiet", requests=1),
            _request_row(signal="requests.v2", requests=1000),
        ],
    )
    rows = clickhouse.query(
        "SELECT service, requests, errors, error_rate, requests_per_second, duration_mean,"
        " first_token_mean, p50, first_token_p99, input_tokens, output_tokens, tokens_per_second,"
        " cost_usd FROM requests_1m WHERE window_start = '2023-11-16 12:00:00' ORDER BY service"
    )
    assert rows == [
        ("chat", 8, 4, 0.5, 8 / 60, 1.5, None, None, None, 200, 120, 2.0, 0.25),
        ("quiet", 1, 0, 0.0, 1 / 60, None, None, None, None, 0, 0, 0.0, None),
    ]
    assert clickhouse.query(
        "SELECT error_type, sum(errors) FROM requests_errors_1h GROUP BY error_type ORDER BY 1"
    ) == [("rate_limit", 1), ("timeout", 3)]
    assert clickhouse.query(
        "SELECT window_start, sum(requests) FROM requests_windows(seconds = 7200)"
        " GROUP BY window_start"
    ) == [(datetime(2023, 11, 16, 12, tzinfo=UTC), 9)]


def test_a_window_of_resources(clickhouse: ClickHouse) -> None:
    """Average, least and greatest value of a metric, over blocks and windows."""
    row = {"signal": "resources.v1", "host": "h", "device": "GPU-1", "metric": "gpu_power_watts"}
    store(
        clickhouse,
        "resource_aggregate",
        [
            {**row, "window_start": NOON, "block": 0, "samples": 3, "value_sum": Decimal("600.5"),
             "value_min": 100.25, "value_max": 300.0},
            {**row, "window_start": NOON + 10_000, "block": 0, "samples": 1,
             "value_sum": Decimal("-0.5"), "value_min": -0.5, "value_max": -0.5},
        ],
    )  # fmt: skip
    assert clickhouse.query("SELECT samples, avg, min, max FROM resources_1m") == [
        (4, 150.0, -0.5, 300.0)
    ]
    assert clickhouse.query("SELECT count() FROM resources_10s") == [(2,)]


def test_experiments_compare_every_variant(clickhouse: ClickHouse) -> None:
    """Rates join two signals, and a variant without a conversion stands there with zeros."""
    exposure = {"signal": "exposures.v1", "experiment": "e", "window_start": NOON}
    store(
        clickhouse,
        "exposure_aggregate",
        [
            {**exposure, "variant": "a", "exposures": 10},
            {**exposure, "variant": "b", "exposures": 5, "block": 0},
            {**exposure, "variant": "b", "exposures": 5, "block": 1},
            {**exposure, "experiment": "silent", "variant": "a", "exposures": 1},
        ],
    )
    # Their squares differ by less than a float of that size can tell.
    values = [Decimal("999999999.5"), Decimal(1_000_000_000), Decimal(999_999_999)]
    store(
        clickhouse,
        "conversion_aggregate",
        [
            {"signal": "conversions.v1", "experiment": "e", "variant": "a", "metric": "spend",
             "window_start": NOON, "conversions": 3, "value_sum": sum(values),
             "value_sum_of_squares": sum(value * value for value in values)},
        ],
    )  # fmt: skip
    assert clickhouse.query(
        "SELECT experiment, variant, metric, exposures, conversions, conversion_rate, value_sum,"
        " value_mean, value_variance FROM experiments ORDER BY experiment, variant"
    ) == [
        ("e", "a", "spend", 10, 3, 0.3, sum(values), 999999999.5, 0.25),
        ("e", "b", "spend", 10, 0, 0.0, Decimal(0), None, None),
        ("silent", "a", "", 1, 0, 0.0, Decimal(0), None, None),
    ]
    assert clickhouse.query("SELECT value_variance, value_mean FROM conversions_1h") == [
        (0.25, 999999999.5)
    ]
    assert clickhouse.query("SELECT exposures FROM exposures_1m WHERE variant = 'b'") == [(10,)]
    assert clickhouse.query(
        "SELECT count() FROM experiments_between"
        "(since = '2023-11-16 12:00:10', until = '2024-01-01 00:00:00')"
    ) == [(0,)]


def test_users_of_experiments_count_once(clickhouse: ClickHouse) -> None:
    """From the first exposure on, with what they did since; who saw two variants is left out."""

    def rows(*given: dict[str, Any]) -> list[dict[str, Any]]:
        places = ({"kafka_topic_id": "t", "kafka_offset": at} for at in range(len(given)))
        return [{"experiment": "e", **row, **place} for row, place in zip(given, places)]  # noqa: B905  # places do not end sooner

    def at(second: int, user: str, variant: str, **more: Any) -> dict[str, Any]:
        time = NOON * 1000 + second * 1_000_000
        return {"event_time": time, "user_id": user, "variant": variant, **more}

    seen = [at(1, "u1", "a"), at(9, "u1", "a"), at(5, "u2", "a"), at(1, "u3", "b")]
    both = [at(1, "u4", "a"), at(2, "u4", "b"), at(1, "u1", "x", experiment="other")]
    store(clickhouse, "exposure", rows(*seen, *both))
    done = [
        at(second, user, "a", metric="m", value=value)
        for second, user, value in (
            (3, "u1", 2.0), (4, "u1", 3.0), (4, "u2", 7.0), (4, "u4", 7.0), (4, "u5", 7.0),
        )
    ]  # fmt: skip
    store(clickhouse, "conversion", rows(*done))
    assert clickhouse.query("SELECT * FROM experiment_users ORDER BY experiment, variant") == [
        ("e", "a", "m", 2, 1, 0.5, 2.5, 12.5),
        ("e", "b", "m", 1, 0, 0.0, 0.0, None),
        ("other", "x", "", 1, 0, 0.0, 0.0, None),
    ]
    assert clickhouse.query(
        "SELECT variant, users FROM experiment_users_between("
        "since = '2023-11-16 12:00:02', until = '2023-11-16 12:00:06') ORDER BY variant"
    ) == [("a", 1), ("b", 1)]


def test_source_events_are_read_once_whatever_was_sent_again(clickhouse: ClickHouse) -> None:
    """Overlapping inserts of the same records count once, with values and nulls as written."""
    events = [
        {
            "event_id": f"e{offset}",
            "event_time": NOON * 1000 + offset,
            "service_name": "chat",
            "gen_ai_request_model": None if offset % 2 else "m",
            "duration_seconds": None if offset % 2 else 0.5,
            "cost_usd_micros": 1_500_000,
            "experiments": [{"experiment": "e", "variant": "a"}],
            "kafka_topic_id": "t",
            "kafka_partition": offset % 3,
            "kafka_offset": offset,
        }
        for offset in range(100)
    ]
    store(clickhouse, "request", events[:70] + events[:70])
    assert clickhouse.query("SELECT count() FROM requests") == [(70,)]
    store(clickhouse, "request", events[30:])
    store(clickhouse, "request", events)
    assert clickhouse.query("SELECT count(), uniqExact(event_id) FROM requests") == [(100, 100)]
    assert clickhouse.query(
        "SELECT service, model, duration, cost_usd, event_time, experiments.variant FROM requests"
        " WHERE event_id IN ('e0', 'e1') ORDER BY event_id"
    ) == [
        ("chat", "m", 0.5, 1.5, datetime(2023, 11, 16, 12, tzinfo=UTC), ["a"]),
        ("chat", "", None, 1.5, datetime(2023, 11, 16, 12, 0, 0, 1, tzinfo=UTC), ["a"]),
    ]


def test_other_writers_records_are_stored(clickhouse: ClickHouse) -> None:
    """A newer writer's field is skipped, and an older one's missing field takes its default."""
    store(
        clickhouse,
        "exposure",
        [{"user_id": "u", "invented_later": 7}],
        more_fields=[{"name": "invented_later", "type": "int"}],
        without=["trace_id", "variant"],
    )
    assert clickhouse.query("SELECT user_id, variant, trace_id FROM exposures") == [("u", "", None)]


def test_a_clock_that_jumps_about_does_not_stop_the_load(clickhouse: ClickHouse) -> None:
    """One body may hold events of every month from 1970 to 2105."""
    times = [month * 30 * 86_400_000_000 for month in range(0, 1655, 5)]
    store(
        clickhouse,
        "conversion",
        ({"event_time": time, "kafka_offset": n} for n, time in enumerate(times)),
    )
    assert clickhouse.query("SELECT count(), max(event_time) FROM conversions") == [
        (len(times), datetime.fromtimestamp(times[-1] / 1e6, UTC))
    ]


def test_dead_letters_are_read_once_for_each_reader(clickhouse: ClickHouse) -> None:
    """A reader that finds a bad record again reports it again; its later finding stands."""
    place = {"source_topic": "s", "topic_id": "t", "partition": 1, "offset": 2, "reader": "r"}
    letter = {**place, "value": b"\xff\x00", "headers": [{"key": "k", "value": None}]}
    store(clickhouse, "dead_letter", [{**letter, "reason": "newer", "found_at": 2}])
    store(
        clickhouse,
        "dead_letter",
        [
            {**letter, "reason": "older", "found_at": 1, "kafka_offset": 7},
            {**letter, "reason": "other", "reader": "another"},
        ],
    )
    assert clickhouse.query(
        "SELECT reader, reason, hex(value), key, headers.key, headers.value FROM dead_letters"
        " WHERE topic_id = 't' AND partition = 1 AND offset = 2 ORDER BY reader"
    ) == [
        ("another", "other", "FF00", None, ["k"], [None]),
        ("r", "newer", "FF00", None, ["k"], [None]),
    ]


@pytest.mark.parametrize(
    ("schema", "time", "unit", "ask"),
    [
        ("request_aggregate", "window_start", 1, "SELECT service, p95 FROM requests_1m"),
        ("request_aggregate", "window_start", 1, "SELECT errors FROM requests_errors_1h"),
        ("resource_aggregate", "window_start", 1, "SELECT avg FROM resources_10s"),
        ("request", "event_time", 1000, "SELECT model, duration FROM requests"),
    ],
)
def test_a_filter_on_time_reaches_the_index(
    clickhouse: ClickHouse, schema: str, time: str, unit: int, ask: str
) -> None:
    """An hour out of weeks reads a part of the granules, through every layer of views."""
    signal = {"signal": "requests.v1" if "request" in schema else "resources.v1"}
    store(
        clickhouse,
        schema,
        (
            {**(signal if "aggregate" in schema else {}), time: (NOON + minute * 60_000) * unit,
             "kafka_offset": minute}
            for minute in range(40_000)
        ),
    )  # fmt: skip
    plan = clickhouse.query(
        f"EXPLAIN indexes = 1 {ask} WHERE {time} >= '2023-11-20 12:00:00'"
        f" AND {time} < '2023-11-20 13:00:00'"
    )
    granules = [line.split()[-1] for (line,) in plan if line.strip().startswith("Granules:")]
    total = int(granules[0].partition("/")[2])
    assert total >= 5
    assert int(granules[-1].partition("/")[0]) <= 2
