"""What opens an incident, what joins it, and what its cause is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from incident_alerts import alert, at
from known_incidents import GPU, POLICY, QUEUE, stored

from inferwatch_streams.incidents.incidents import Incidents
from inferwatch_streams.incidents.policy import Placement


def test_serious_alert_opens() -> None:
    """A high alert opens an incident with deadlines, which its first level of people is told."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    assert (opened.status, opened.priority, opened.services) == ("open", "P3", ("chat",))
    assert opened.acknowledge_by - opened.opened_at == POLICY.deadlines["P3"].acknowledge
    assert opened.targets == ("chat",)
    assert opened.runbook_url == "https://runbooks/error_rate"
    assert stored(opened) == opened


@pytest.mark.parametrize(
    "changed",
    [{"severity": "medium"}, {"status": "pending"}, {"silence_id": "s"}, {"inhibited_by": "f"}],
)
def test_others_open_nothing(changed: dict[str, str]) -> None:
    """Lesser alerts, and those that people are not told of, open nothing."""
    assert Incidents(POLICY).alert(replace(alert(), **changed)) == []


def test_silence_ends() -> None:
    """An alert that is told of only later opens an incident then."""
    incidents = Incidents(POLICY)
    assert incidents.alert(alert(silence_id="s")) == []
    (opened,) = incidents.alert(alert(seconds=9000, fired=0))
    # People could not have taken it before.
    assert opened.acknowledge_by == at(9000) + POLICY.deadlines["P3"].acknowledge
    (joined,) = incidents.alert(alert("latency", 9010))
    assert joined.incident_id == opened.incident_id


def test_joins_by_service() -> None:
    """A second alert of the service joins; one of another, or much later, opens its own."""
    incidents = Incidents(POLICY)
    incidents.alert(alert())
    (joined,) = incidents.alert(alert("latency", 30))
    assert [member.rule for member in joined.alerts] == ["error_rate", "latency"]
    assert (joined.transition, joined.targets) == ("joined", ())
    incidents.alert(alert(seconds=40, labels={"service": "search"}))
    incidents.alert(alert("late", 4000))
    assert len(incidents) == 3


def test_environments_apart() -> None:
    """The same service in another environment has an incident of its own."""
    incidents = Incidents(POLICY)
    incidents.alert(alert(labels={"service": "chat", "environment": "prod"}))
    incidents.alert(alert(labels={"service": "chat", "environment": "test"}))
    assert len(incidents) == 2


def test_lesser_cause_is_found() -> None:
    """A medium GPU alert opens nothing, and is the probable cause of what opens after it."""
    incidents = Incidents(POLICY)
    assert incidents.alert(alert("gpu_busy", 0, labels=GPU, severity="medium")) == []
    assert incidents.alert(alert("queue_grows", 5, labels=QUEUE, severity="medium")) == []
    (opened,) = incidents.alert(alert("first_token", 40))
    assert opened.probable_cause is not None
    assert opened.probable_cause.startswith("GPU on gpu-7: gpu_busy of gpu-7")
    assert "40 s before the first symptom" in opened.probable_cause
    assert "engine on gpu-7: queue_grows" in opened.probable_cause
    assert opened.hosts == ("gpu-7",)
    assert opened.priority == "P3"


def test_lesser_symptom_joins_quietly() -> None:
    """A medium alert of the service joins, tells nobody, and does not keep the incident open."""
    incidents = Incidents(POLICY)
    (opened,) = incidents.alert(alert())
    (joined,) = incidents.alert(alert("first_token", 5, severity="medium"))
    assert joined.transition_id == opened.transition_id
    assert [member.rule for member in joined.alerts] == ["error_rate", "first_token"]
    incidents.alert(alert(seconds=60, fired=0, status="resolved"))
    (over,) = incidents.tick(at(361))
    assert over.resolved_at == at(360)


def test_placed_cause_comes_first() -> None:
    """What runs where the service runs is a likelier cause than a GPU elsewhere."""
    policy = replace(POLICY, placements=(Placement(("cpu-*",), ("chat",)),))
    incidents = Incidents(policy)
    incidents.alert(alert("gpu_busy", 0, labels=GPU))
    incidents.alert(alert("disk_full", 10, labels={"host": "cpu-1"}))
    incidents.alert(alert("latency", 20))
    (with_host,) = [each for each in incidents if "cpu-1" in each.hosts and each.services]
    assert with_host.probable_cause is not None
    assert with_host.probable_cause.startswith("host on cpu-1")
    assert "where chat runs" in with_host.probable_cause


def test_hosts_apart_where_wanted() -> None:
    """With placements for all, the host that no service runs on stays apart."""
    incidents = Incidents(replace(POLICY, unplaced=False))
    incidents.alert(alert())
    incidents.alert(alert("gpu_busy", 5, labels=GPU))
    assert sorted(bool(each.services) for each in incidents) == [False, True]


def test_common_model() -> None:
    """Services in trouble with one model have the model for a cause."""
    incidents = Incidents(POLICY)
    incidents.alert(alert(labels={"service": "chat", "model": "m"}))
    (joined,) = incidents.alert(alert(seconds=9, labels={"service": "search", "model": "m"}))
    assert joined.probable_cause == "Model m: it is common to all alerts, of 2 services."
