"""The host agent: what it sends, what it shows, and what it does not show any more."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import generate_latest
from replayed_nvml import ReplayedNvml

from inferwatch_agents.errors import ConfigurationError
from inferwatch_agents.host.agent import HostAgent
from inferwatch_agents.host.exposition import DcgmMetrics, SystemMetrics, registry_of
from inferwatch_agents.host.nvml_constants import Event
from inferwatch_agents.host.settings import AgentSettings
from inferwatch_agents.outcomes import Outcomes
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder

HEADER = {"event_id": "e", "producer_id": "p", "sequence": 0, "event_time": 1}
A = "GPU-5a3f1c9e-0000-4000-8000-00000000000a"


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        """It starts at zero."""
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


class Running:
    """An agent that samples when a test says so."""

    def __init__(self, *, processes: tuple[str, ...] = ()) -> None:
        """With the two GPUs that were written by hand."""
        self.clock = Clock()
        self.nvml = ReplayedNvml.written("two_gpus")
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.outcomes = Outcomes()
        settings = AgentSettings(host_name="here", processes=processes)
        self.agent = HostAgent(
            settings, self.nvml, lambda *event: self.sent.append(event), monotonic=self.clock
        )

    def sample(self, now: float) -> None:
        """All of it once."""
        self.clock.now = now
        self.agent.sample_host(now)
        self.agent.sample_gpus(now)

    def page(self) -> str:
        """What Prometheus gets."""
        agent = self.agent
        metrics = SystemMetrics(agent.snapshots, agent.events, agent.reports, self.outcomes)
        return generate_latest(registry_of(metrics)).decode()

    def dcgm(self) -> str:
        """The other page."""
        metrics = DcgmMetrics(self.agent.snapshots, self.agent.events, "here")
        return generate_latest(registry_of(metrics)).decode()


@pytest.fixture
def running() -> Iterator[Running]:
    """An agent whose driver is let go in the end."""
    found = Running(processes=("nobody-is-called-so",))
    yield found
    found.agent.stop(timeout=10)


def test_host_programs_and_gpus_are_sent(running: Running) -> None:
    """Each is a device of its own on this host, and each record fits the schema."""
    encoder = Encoder("resource", PinnedRegistry())
    running.sample(0.0)
    assert [record["device"] for _, record in running.sent] == [
        "host",
        "process:nobody-is-called-so",
        A,
        f"{A}/process:unknown",
        A[:-1] + "b",
    ]
    assert {schema for schema, _ in running.sent} == {"resource"}
    assert all(encoder.encode(record | HEADER) for _, record in running.sent)


def test_an_old_sample_is_not_shown(running: Running) -> None:
    """Where a sampler hangs, its values go and their age stays."""
    running.sample(0.0)
    running.sample(10.0)
    assert "\nsystem_memory_usage_percent " in running.page()
    assert f'system_gpu_power_watts{{gpu_id="{A}"}} 312.5' in running.page()
    running.clock.now = 45.0
    running.agent.sample_host(45.0)
    page = running.page()
    assert "\nsystem_memory_usage_percent " in page
    assert "system_gpu_power_watts{" not in page
    assert "DCGM_FI_DEV_POWER_USAGE{" not in running.dcgm()
    assert 'inferwatch_agent_sample_age_seconds{sampler="gpus"} 35.0' in page


def test_events_are_sent_and_counted(running: Running) -> None:
    """A second identical XID error is another event and another count."""
    running.sample(0.0)
    for _ in range(2):
        running.nvml.happen(Event.XID_CRITICAL_ERROR, 79)
    deadline = time.monotonic() + 10
    while [schema for schema, _ in running.sent].count("device_event") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    sent = [record for schema, record in running.sent if schema == "device_event"]
    assert [(record["host_name"], record["code"]) for record in sent] == [("here", 79)] * 2
    assert f'system_gpu_xid_errors_total{{gpu_id="{A}",xid="79"}} 2.0' in running.page()
    assert f'system_gpu_events_total{{gpu_id="{A}",kind="xid"}} 2.0' in running.page()
    xids = [line for line in running.dcgm().splitlines() if "XID_ERRORS{" in line]
    assert [line.rpartition(" ")[2] for line in xids] == ["79.0", "0.0"]


def test_what_became_of_events_is_shown(running: Running) -> None:
    """Lost ones by reason, whether dropped here or refused there."""
    running.outcomes.send("resource")
    running.outcomes.drop("resource", "queue_full", 3)
    running.outcomes.fail("device_event", "not_delivered")
    page = running.page()
    assert 'inferwatch_agent_events_sent_total{event="resource"} 1.0' in page
    assert 'inferwatch_agent_events_lost_total{event="resource",reason="queue_full"} 3.0' in page
    assert 'events_lost_total{event="device_event",reason="not_delivered"} 1.0' in page


def test_the_agent_samples_by_itself_until_it_is_stopped() -> None:
    """Both samplers run, and neither is left behind."""
    enough = threading.Event()
    devices: set[str] = set()

    def emit(_: str, record: dict[str, Any]) -> None:
        devices.add(record["device"])
        if {"host", A} <= devices:
            enough.set()

    agent = HostAgent(AgentSettings(interval_seconds=0.1), ReplayedNvml.written("two_gpus"), emit)
    agent.start()
    assert enough.wait(10)
    agent.stop()
    left = {thread.name for thread in threading.enumerate()}
    assert left & {"host-sampler", "gpu-sampler", "gpu-events"} == set()


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval_seconds": 0.0}, {"interval_seconds": float("inf")}, {"interval_seconds": 1e300},
        {"host_name": ""},
        {"disk_path": "/nowhere/at/all"}, {"processes": ("",)}, {"processes": ("x",) * 51},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """Before anything is started."""
    with pytest.raises(ConfigurationError):
        AgentSettings(**wrong)
