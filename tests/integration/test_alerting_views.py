"""Alerts and incidents in ClickHouse: what holds now, and what is no longer said."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from avro_rows import store

from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch_clickhouse.alerting import alerts_now, incidents_now
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings

NOON = 1_700_136_000_000_000  # 2023-11-16 12:00:00 UTC, in microseconds
SECOND = 1_000_000
SINCE = datetime(2023, 11, 16, 12, 1, tzinfo=UTC)
LABELS = [{"name": "service", "value": "chat"}]


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """Yield a migrated ClickHouse."""
    folder = tmp_path_factory.mktemp("alerting")
    with EmbeddedClickHouse(folder / "data", folder) as server:
        settings = ClickHouseSettings(url=server.url)
        migrate(settings)
        yield ClickHouse(settings)


def alert(fingerprint: str, offset: int, status: str, **given: Any) -> dict[str, Any]:
    """A row of an alert at an offset of its topic."""
    return {
        "fingerprint": fingerprint, "kafka_topic_id": "t", "kafka_offset": offset, "rule": "Errors",
        "status": status, "severity": "high", "labels": LABELS, "event_time": NOON + offset,
        "started_at": NOON, "flapping": False, **given,
    }  # fmt: skip


def test_alerts_now(clickhouse: ClickHouse) -> None:
    """The newest state of each, worst first; what is long over, or was a zombie's, is not there."""
    late = NOON + 90 * SECOND
    store(
        clickhouse,
        "alert",
        [
            alert("over", 1, "firing", fired_at=NOON),
            alert("over", 2, "resolved", resolved_at=NOON),
            alert("lately", 3, "firing", fired_at=NOON),
            alert("lately", 4, "resolved", fired_at=NOON, resolved_at=late, severity="critical"),
            alert("taken", 5, "acknowledged", rule="Taken", silence_id="s", fired_at=NOON),
            alert("waiting", 6, "pending"),
            alert("worst", 7, "firing", epoch=6, fired_at=late, severity="critical"),
            alert("worst", 8, "resolved", epoch=5, resolved_at=late, severity="critical"),
        ],
    )
    shown = alerts_now(clickhouse, SINCE)
    assert [(each.status, each.severity, each.rule, each.kept_quiet) for each in shown] == [
        ("firing", "critical", "Errors", False),
        ("acknowledged", "high", "Taken", True),
        ("resolved", "critical", "Errors", False),
    ]
    assert shown[0].labels == (("service", "chat"),)
    assert shown[0].fired_at == datetime(2023, 11, 16, 12, 1, 30, tzinfo=UTC)
    store(clickhouse, "alert", [alert("new", 1, "firing", kafka_topic_id="u", rule="New")])
    assert [each.rule for each in alerts_now(clickhouse, SINCE)] == ["New"]


def test_incidents_now(clickhouse: ClickHouse) -> None:
    """Those that are not over, with their cause, alerts and actions."""
    row = {
        "kafka_topic_id": "t", "event_time": NOON, "opened_at": NOON, "acknowledge_by": NOON,
        "resolve_by": NOON, "priority": "P2", "title": "chat fails",
    }  # fmt: skip
    inner = {"fingerprint": "f", "rule": "Errors", "severity": "high", "status": "firing",
             "summary": "", "joined_at": NOON}  # fmt: skip
    action = {"name": "collect_logs", "status": "succeeded", "started_at": NOON,
              "finished_at": None, "attempts": 1, "result": "3 logs", "value_before": None,
              "value_after": 0.5, "undo": None}  # fmt: skip
    store(
        clickhouse,
        "incident",
        [
            {**row, "incident_id": "1", "kafka_offset": 1, "status": "open", "alerts": [inner],
             "actions": [action], "probable_cause": "GPU is full", "services": ["chat"],
             "timeline": [{"at": NOON, "kind": "opened", "actor": "inferwatch", "text": "x"}]},
            {**row, "incident_id": "2", "kafka_offset": 2, "status": "open", "priority": "P1"},
            {**row, "incident_id": "3", "kafka_offset": 3, "status": "open"},
            {**row, "incident_id": "3", "kafka_offset": 4, "status": "resolved",
             "resolved_at": NOON},
        ],
    )  # fmt: skip
    first, second = incidents_now(clickhouse, SINCE)
    assert (first.incident_id, first.priority, first.alerts, first.actions) == ("2", "P1", 0, ())
    assert (second.probable_cause, second.alerts) == ("GPU is full", 1)
    assert second.actions == (("collect_logs", "succeeded"),)
    assert second.resolved_at is None
