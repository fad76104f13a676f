"""Prometheus metrics of the incidents; every name is defined here and only here."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from inferwatch_schemas.columnar.watchdog import Meters

ACTIVE = Gauge("inferwatch_incidents_active", "Incidents that go on.", ["priority"])
TRANSITIONS = Counter(
    "inferwatch_incident_transitions", "Changes of incidents written.", ["transition"]
)
REFUSED = Counter(
    "inferwatch_incident_commands_refused", "Commands that could not be done.", ["action"]
)
UNKNOWN = Counter(
    "inferwatch_incident_unknown_alerts", "Alerts of a severity that is unknown here, left out."
)
UNREADABLE = Counter(
    "inferwatch_incident_unreadable_records",
    "Records that were decoded and are not what is known here, left out.",
    ["topic"],
)
UNWRITABLE = Counter(
    "inferwatch_incident_unwritable",
    "States of incidents that do not fit their schema, and were not written.",
)
ATTEMPTS = Counter(
    "inferwatch_response_action_attempts", "Attempts of response actions.", ["action", "outcome"]
)
ACTION_SECONDS = Histogram(
    "inferwatch_response_action_seconds",
    "How long an attempt of a response action took.",
    ["action"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60),
)
LEFT_ALONE = Gauge(
    "inferwatch_response_actions_left_alone",
    "Attempts that did not answer in time and have not ended yet.",
)
RELOADS = Counter("inferwatch_incidents_reloads", "Reloads of the file of incidents.", ["outcome"])
FAILURES = Counter(
    "inferwatch_incident_failures", "Rounds of the responder that failed for an unforeseen reason."
)
WATCHDOG = Meters(
    lag=Gauge(
        "inferwatch_incidents_lag_records",
        "Offsets between a log's end and what is done of it.",
        ["topic", "partition"],
    ),
    stalled=Gauge(
        "inferwatch_incidents_stalled_partitions",
        "1 where a partition is stalled, 0 where not.",
        ["topic", "partition"],
    ),
    repairs=Counter(
        "inferwatch_incidents_stall_repairs",
        "How often all was read again because partitions were stalled for no known reason.",
    ),
    recreated=Counter(
        "inferwatch_incidents_topics_recreated",
        "Topics that were deleted and created again.",
        ["topic"],
    ),
)
