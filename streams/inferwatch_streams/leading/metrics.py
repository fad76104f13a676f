"""Prometheus metrics of whatever is led by one worker; every name is defined here and only here."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

LEADS: Final = Gauge(
    "inferwatch_leads", "1 while this worker leads by the topic's newest claim, else 0.", ["topic"]
)
CLAIMS: Final = Counter("inferwatch_claims", "Take-overs by this worker.", ["topic"])
SUPERSEDED: Final = Counter(
    "inferwatch_superseded", "How often this worker ceased to lead without being asked.", ["topic"]
)
FENCED: Final = Counter(
    "inferwatch_fenced_records", "Records of replaced leaders that were left out.", ["topic"]
)
REPAIRS: Final = Counter(
    "inferwatch_state_repairs",
    "Keys written again because a record that does not count was their last.",
    ["topic"],
)
UNUSABLE: Final = Counter(
    "inferwatch_unusable_records", "Records that could not be decoded and were left out.", ["topic"]
)
