"""Metrics of the notifications: the one list of their names."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from inferwatch_schemas.columnar.watchdog import Meters

SENT: Final = Counter(
    "inferwatch_notifications_sent", "Messages that a channel took.", ["channel", "state"]
)
ATTEMPTS: Final = Counter(
    "inferwatch_notification_attempts",
    "Attempts to send a message, by what came of it: an HTTP or SMTP status, or a word.",
    ["channel", "status"],
)
UNDELIVERED: Final = Counter(
    "inferwatch_notifications_undelivered", "Notices given up, now dead letters.", ["channel"]
)
COPIES_POSSIBLE: Final = Counter(
    "inferwatch_notifications_copies_possible",
    "Notices told that a worker before this one may have told and not recorded.",
    ["channel"],
)
UNRECORDED: Final = Gauge(
    "inferwatch_notifications_unrecorded_offsets",
    "Newest offsets of a topic of which a commit has no room to say which channels were told.",
    ["topic"],
)
UNREADABLE_NOTES: Final = Counter(
    "inferwatch_notifications_unreadable_notes",
    "Commits of a topic that do not say in our words which channels were told beyond them.",
    ["topic"],
)
WAITING: Final = Gauge(
    "inferwatch_notifications_waiting", "Notices that a channel is still to be told.", ["channel"]
)
SECONDS: Final = Histogram(
    "inferwatch_notification_seconds",
    "From the broker's taking a record to the channel's answer.",
    ["channel"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600),
)
UNKNOWN_CHANNELS: Final = Counter(
    "inferwatch_notifications_unknown_channel",
    "Times an incident named a channel that is not configured.",
)
RELOADS: Final = Counter(
    "inferwatch_notifications_reloads", "Reloads of the file of channels and routes.", ["outcome"]
)
UNROUTED: Final = Counter(
    "inferwatch_notifications_unrouted", "Changes of alerts that no route takes to a channel."
)
TEMPLATE_FAILURES: Final = Counter(
    "inferwatch_notification_template_failures", "Times a default template spoke for one's own."
)
WATCHDOG: Final = Meters(
    lag=Gauge(
        "inferwatch_notifications_lag_records",
        "Offsets between the log's end and what is told of it.",
        ["topic", "partition"],
    ),
    stalled=Gauge(
        "inferwatch_notifications_stalled_partitions",
        "1 where a partition is stalled, 0 where not.",
        ["topic", "partition"],
    ),
    repairs=Counter(
        "inferwatch_notifications_stall_repairs",
        "How often all partitions were read again because some were stalled for no known reason.",
    ),
    recreated=Counter(
        "inferwatch_notifications_topics_recreated",
        "Topics that were deleted and created again.",
        ["topic"],
    ),
)
