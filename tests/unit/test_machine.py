"""The sample of this machine: what it measures, and what it does not."""

from dataclasses import replace
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from inferwatch_agents.host.machine import Counters, MachineSettings, rates, sample
from inferwatch_agents.host.reports import Reports
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder

SETTINGS = MachineSettings(host_name="here")
READ = Counters(
    at=10.0, cpu_busy=4.0, cpu_total=40.0, disk_read=100, disk_written=0, received=7, sent=9
)
HEADER = {"event_id": "e", "producer_id": "p", "sequence": 0, "event_time": 1}


def test_a_sample_of_this_machine_fits_the_schema() -> None:
    """Two samples in a row are encodable, and the second has CPU use within its limits."""
    encoder = Encoder("resource", PinnedRegistry())
    taken = sample(None, 0.0, SETTINGS, Reports())
    first, second = taken.record, sample(taken.counters, 1.0, SETTINGS, Reports()).record
    for record in (first, second):
        assert encoder.encode(record | HEADER)
    assert first["memory_total_bytes"] == psutil.virtual_memory().total
    assert first["disk_total_bytes"] == psutil.disk_usage("/").total
    assert first["cpu_utilization_ratio"] is None
    assert (first["host_name"], first["device"]) == ("here", "host")


def test_rates_are_growth_over_time() -> None:
    """Bytes are divided by the seconds between, busy CPU time by all CPU time."""
    later = replace(READ, at=12.0, cpu_busy=7.0, cpu_total=44.0, disk_read=500, received=8, sent=29)
    assert rates(READ, later) == {
        "cpu_utilization_ratio": 0.75,
        "disk_read_bytes_per_second": 200.0,
        "disk_write_bytes_per_second": 0.0,
        "network_receive_bytes_per_second": 0.5,
        "network_transmit_bytes_per_second": 10.0,
    }


def test_a_reset_or_missing_counter_gives_null() -> None:
    """A counter that went back or is absent on either side tells nothing."""
    later = replace(READ, at=12.0, cpu_total=44.0, disk_read=50, received=None)
    found = rates(READ, later)
    assert found["disk_read_bytes_per_second"] is None
    assert found["network_receive_bytes_per_second"] is None
    assert found["network_transmit_bytes_per_second"] == 0.0
    assert rates(READ, READ)["network_transmit_bytes_per_second"] is None


@given(st.lists(st.floats(0, 1e9), min_size=6, max_size=6))
def test_rates_are_never_outside_the_schemas_limits(numbers: list[float]) -> None:
    """Whatever the counters say, a rate is null or not negative, and CPU use at most 1."""
    at, busy, total, *traffic = numbers
    bytes_ = [int(number) for number in traffic]
    found = rates(READ, Counters(at, busy, total, *bytes_, 11))
    assert all(value is None or value >= 0 for value in found.values())
    assert (found["cpu_utilization_ratio"] or 0.0) <= 1


def test_a_failing_probe_is_reported_once_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A probe without permission gives null and one warning, and another when it recovers."""

    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError("not allowed")

    reports, counters = Reports(), None
    with capture_logs() as logs:
        with monkeypatch.context() as patch:
            patch.setattr(psutil, "disk_io_counters", refused)
            for at in (0.0, 1.0, 2.0):
                taken = sample(counters, at, SETTINGS, reports)
                counters = taken.counters
        assert taken.record["disk_read_bytes_per_second"] is None
        assert taken.record["memory_used_bytes"] > 0
        assert [(log["what"], log.get("reason")) for log in logs] == [
            ("disk traffic", "not allowed")
        ]
        assert reports.failing() == {("host", "disk traffic"): "not allowed"}
        sample(counters, 3.0, SETTINGS, reports)
    assert [log["event"] for log in logs] == ["not measured", "measured again"]
    assert reports.failing() == {}
