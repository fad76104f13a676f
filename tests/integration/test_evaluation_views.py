"""Windows of quality scores: what has no score or verdict counts in no mean and no rate."""

from decimal import Decimal
from typing import Any

import pytest
from avro_rows import store

from inferwatch_clickhouse.client import ClickHouse

NOON = 1_700_136_000_000  # 2023-11-16 12:00:00 UTC, in milliseconds


def _row(**given: Any) -> dict[str, Any]:
    return {
        "signal": "evaluations.v1",
        "service": "chat",
        "model": "m",
        "metric": "accuracy",
        "kind": "judge",
        "window_start": NOON,
        "version": 1,
        **given,
    }


def test_a_window_of_evaluations(clickhouse: ClickHouse) -> None:
    """Means and rates are over all blocks and windows; of nothing they are NULL."""
    # Their squares differ by less than a float of that size can tell.
    values = [Decimal("999999.5"), Decimal(1_000_000), Decimal(999_999)]
    store(
        clickhouse,
        "evaluation_aggregate",
        [
            _row(block=0, evaluations=3, errors=1, scored=2, score_micros=1_999_999_500_000,
                 score_sum_of_squares=sum(v * v for v in values[:2]), score_min=999_999.5,
                 score_max=1e6, judged=2, passed=2, durations=1, duration_micros=500_000,
                 duration_bin_indexes=[-33], duration_bin_counts=[1]),
            _row(block=1, window_start=NOON + 30_000, evaluations=1, scored=1,
                 score_micros=999_999_000_000, score_sum_of_squares=values[2] ** 2,
                 score_min=999_999.0, score_max=999_999.0, judged=1, passed=0),
            _row(block=2, window_start=NOON + 50_000, evaluations=2, errors=2),
            _row(model="silent", evaluations=1, errors=1),
            _row(signal="evaluations.v2", evaluations=1000),
        ],
    )  # fmt: skip
    assert clickhouse.query(
        "SELECT model, evaluations, errors, scored, score_mean, score_min, score_max,"
        " score_variance, passed, failed, pass_rate, duration_mean, score_sum"
        " FROM evaluations_1m ORDER BY model"
    ) == [
        ("m", 6, 3, 3, 999_999.5, 999_999.0, 1e6, 0.25, 2, 1, 2 / 3, 0.5, sum(values)),
        ("silent", 1, 1, 0, None, None, None, None, 0, 0, None, None, Decimal(0)),
    ]
    assert clickhouse.query("SELECT count(), countIf(score_mean IS NULL) FROM evaluations_10s") == [
        (4, 2)
    ]
    [(p50, p95)] = clickhouse.query("SELECT p50, p95 FROM evaluations_1h WHERE model = 'm'")
    assert p50 == p95 == pytest.approx(0.495, rel=0.011)
