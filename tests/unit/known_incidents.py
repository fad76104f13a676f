"""What tests of incidents share: a policy, a host in trouble, and reading what was written."""

from __future__ import annotations

from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder, decode
from inferwatch_streams.incidents.incident import Incident
from inferwatch_streams.incidents.incidents import Incidents
from inferwatch_streams.incidents.policy import Level, Policy

POLICY = Policy(
    levels=(Level(("chat",)), Level(("lead",), 600_000_000), Level(("boss",), 600_000_000)),
    repeats=2,
)
GPU = {"host": "gpu-7", "device": "GPU-1", "metric": "gpu_utilization_ratio"}
QUEUE = {"host": "gpu-7", "metric": "queue_size"}
ENCODER = Encoder("incident", PinnedRegistry())


def stored(incident: Incident) -> Incident:
    """As it comes back from its topic."""
    return Incident.from_record(decode(ENCODER.encode(incident.to_record()), PinnedRegistry()))


def only(incidents: Incidents) -> Incident:
    """The one incident there is."""
    (incident,) = incidents
    return incident
