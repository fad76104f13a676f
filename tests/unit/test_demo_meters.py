"""What the demo reads from the workers' metrics, and when it takes everything for arrived."""

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inferwatch.demo.meters import NOTHING, Meters, arrived, take_meters

AGGREGATION = """
# TYPE inferwatch_events counter
inferwatch_events_total{topic="a"} 7
inferwatch_events_total{topic="b"} 2
# TYPE inferwatch_dead_letters counter
inferwatch_dead_letters_total{reason="malformed"} 1
# TYPE inferwatch_aggregate_rows counter
inferwatch_aggregate_rows_total{schema="x"} 5
"""
SINK = """
# TYPE inferwatch_sink_rows counter
inferwatch_sink_rows_total{table="requests"} 9
inferwatch_sink_rows_total{table="dead_letters"} 1
inferwatch_sink_rows_total{table="request_aggregates"} 5
"""
COUNTED = Meters(ready=True, events=10, aggregate_rows=5, landed={})
LANDED = Meters(
    ready=True,
    events=0,
    aggregate_rows=0,
    landed={"requests": 9, "dead_letters": 1, "request_aggregates": 5},
)


def taken(text: str) -> Meters:
    """The meters in an exposition."""
    return take_meters(text_string_to_metric_families(text))


def test_events_are_summed_over_labels_and_with_dead_letters() -> None:
    """What was counted and what was bad add up to what was read."""
    assert taken(AGGREGATION) == Meters(ready=False, events=10, aggregate_rows=5, landed={})


def test_landed_rows_are_told_by_table() -> None:
    """Aggregates are told from raw rows by their table's name."""
    meters = taken(SINK)
    assert meters.landed == LANDED.landed
    assert meters.landed_aggregates == LANDED.landed["request_aggregates"]


@pytest.mark.parametrize("name", ["inferwatch_floor", "inferwatch_sink_position"])
def test_a_worker_is_ready_once_it_has_a_partition(name: str) -> None:
    """Its position in any partition shows that it has one."""
    assert taken(f'# TYPE {name} gauge\n{name}{{partition="0"}} 0\n').ready
    assert taken("") == NOTHING


def test_arrived_when_all_is_counted_and_landed() -> None:
    """All that was sent is counted, raw and aggregated rows are in ClickHouse."""
    assert arrived(10, COUNTED, LANDED)
    assert arrived(9, COUNTED, LANDED)


@pytest.mark.parametrize(
    ("sent", "aggregation", "sink"),
    [
        (11, COUNTED, LANDED),
        (10, replace(COUNTED, events=9), LANDED),
        (10, replace(COUNTED, aggregate_rows=6), LANDED),
        (10, COUNTED, replace(LANDED, landed={**LANDED.landed, "requests": 8})),
        (10, COUNTED, replace(LANDED, landed={**LANDED.landed, "requests": 8, "alerts": 5})),
        (10, NOTHING, LANDED),
        (10, COUNTED, NOTHING),
    ],
)
def test_not_arrived_while_anything_is_missing(
    sent: int, aggregation: Meters, sink: Meters
) -> None:
    """One event not counted or one row not landed is enough."""
    assert not arrived(sent, aggregation, sink)
