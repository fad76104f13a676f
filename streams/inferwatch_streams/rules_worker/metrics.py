"""Prometheus metrics of the role rules; every name is defined here and only here."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from inferwatch_schemas.columnar.watchdog import Meters

RULES: Final = Gauge("inferwatch_rules", "Rules in force.")
EVALUATIONS: Final = Counter("inferwatch_rule_evaluations", "Rules evaluated, each tick's.")
FAILURES: Final = Counter(
    "inferwatch_rule_failures", "Evaluations of a rule that ended in an error.", ["rule"]
)
FINDINGS: Final = Counter("inferwatch_rule_findings", "Groups whose condition held, by tick.")
TICK_SECONDS: Final = Histogram(
    "inferwatch_rules_tick_seconds",
    "Evaluating all rules once.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
EVALUATED_UNTIL: Final = Gauge(
    "inferwatch_rules_evaluated_until_seconds",
    "Event time up to which rules have looked, in seconds since 1970.",
)
SKIPPED_SECONDS: Final = Counter(
    "inferwatch_rules_skipped_seconds", "Event time that rules did not look at after an outage."
)
HELD: Final = Gauge(
    "inferwatch_rules_held", "1 while rules wait for the reason, 0 while not.", ["reason"]
)
ALERTS: Final = Gauge("inferwatch_alerts", "Alerts at the last tick.", ["status", "severity"])
TRANSITIONS: Final = Counter(
    "inferwatch_alert_transitions", "Alerts that changed their status.", ["status", "severity"]
)
ALERT_SECONDS: Final = Histogram(
    "inferwatch_alert_seconds",
    "From the event time of a tick to the broker's acknowledgement of the alerts that it changed.",
    buckets=(0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10, 30, 60, 300),
)
RELOADS: Final = Counter("inferwatch_rules_reloads", "Reloads of the rules file.", ["outcome"])
COMMANDS: Final = Counter(
    "inferwatch_alert_commands", "Commands that concern alerts.", ["action", "outcome"]
)
ROWS: Final = Counter("inferwatch_rules_rows", "Aggregate rows read.")
BAD_ROWS: Final = Counter("inferwatch_rules_bad_rows", "Aggregate rows left out: they are none.")
WATCHDOG: Final = Meters(
    lag=Gauge(
        "inferwatch_rules_lag_records",
        "Offsets between the log's end and what need not be read again.",
        ["topic", "partition"],
    ),
    stalled=Gauge(
        "inferwatch_rules_stalled_partitions",
        "1 where a partition is stalled, 0 where not.",
        ["topic", "partition"],
    ),
    repairs=Counter(
        "inferwatch_rules_stall_repairs",
        "How often all partitions were read again because some were stalled for no known reason.",
    ),
    recreated=Counter(
        "inferwatch_rules_topics_recreated",
        "Topics that were deleted and created again.",
        ["topic"],
    ),
)
