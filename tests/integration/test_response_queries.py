"""Response actions against a real ClickHouse and broker: logs, traces, windows, circuits."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import pytest
from avro_rows import store
from incident_alerts import alert, at

from inferwatch import compacted_topics
from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch.response_actions.circuit import OpenCircuit
from inferwatch.response_actions.logs import CollectLogs
from inferwatch.response_actions.windows import GatherMetrics, meter
from inferwatch_agents.controls.control import OPEN_CIRCUIT, Control
from inferwatch_agents.following import read_control
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import CONTROLS
from inferwatch_streams.errors import ActionFailedError
from inferwatch_streams.incidents.changes import opened
from inferwatch_streams.incidents.policy import Policy
from inferwatch_streams.incidents.response_action import Context, Surroundings

WINDOW = at(0) // 10_000_000 * 10_000_000
CONTEXT = Context(replace(opened(Policy(), alert(), at(0)), hosts=("gpu-7",)), (alert(),), at(60))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Yield the variables of a ClickHouse that has seen an outage of chat."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with EmbeddedClickHouse(folder / "data", folder) as running:
        settings = replace(ClickHouseSettings(url=running.url), database="responses")
        migrate(settings)
        _outage(ClickHouse(settings))
        yield settings.to_environment()


def _outage(clickhouse: ClickHouse) -> None:
    common = {"service_name": "chat", "kafka_topic_id": "t"}
    store(
        clickhouse,
        "log",
        [
            {**common, "event_time": at(-5), "severity_number": 17, "body": "upstream is away",
             "exception_type": "ConnectError", "trace_id": "abc", "kafka_offset": 0},
            {**common, "event_time": at(-4), "severity_number": 17, "body": "upstream is away",
             "exception_type": "ConnectError", "kafka_offset": 1},
            {**common, "event_time": at(-3), "severity_number": 9, "body": "fine",
             "kafka_offset": 2},
            {**common, "event_time": at(-9000), "severity_number": 17, "body": "long ago",
             "kafka_offset": 3},
            {**common, "service_name": "search", "event_time": at(-3), "severity_number": 17,
             "body": "of others", "kafka_offset": 4},
        ],
    )  # fmt: skip
    store(
        clickhouse,
        "span",
        [
            {**common, "start_time": at(-5), "event_time": at(-4), "trace_id": "abc",
             "span_id": "a", "name": "POST /chat", "kind": "server", "status_code": "error",
             "error_type": "ConnectError"},
        ],
    )  # fmt: skip
    row = {"signal": "requests.v1", "topic_id": "t", "service": "chat", "version": 1}
    store(
        clickhouse,
        "request_aggregate",
        [
            {**row, "block": 0, "window_start": (WINDOW - 60_000_000) // 1000, "requests": 100,
             "errors": 1},
            {**row, "block": 1, "window_start": (WINDOW + 10_000_000) // 1000, "requests": 100,
             "errors": 40},
        ],
    )  # fmt: skip


def test_logs_and_traces(environment: Mapping[str, str]) -> None:
    """Error logs of the services around the start are counted, and failed traces named."""
    found = CollectLogs({}, Surroundings(environment, "collect_logs")).run(CONTEXT).result
    _, logs, traces = found.splitlines()
    assert logs == "2 x chat: ConnectError: upstream is away (trace abc)"
    assert traces == "trace abc: chat POST /chat, ConnectError"


def test_windows(environment: Mapping[str, str]) -> None:
    """Windows before the start and since stand side by side."""
    found = GatherMetrics({}, Surroundings(environment, "gather_metrics")).run(CONTEXT).result
    (_, chat) = found.splitlines()
    assert chat == (
        "chat: 100 requests, 1.00% errors, p95 unknown, first token p95 unknown -> "
        "100 requests, 40.00% errors, p95 unknown, first token p95 unknown"
    )


def test_meter(environment: Mapping[str, str]) -> None:
    """The meter tells a metric over a stretch of time, and nothing where nothing was."""
    measure = meter(environment)
    assert measure("error_rate", ("chat",), WINDOW, at(60)) == 0.4
    assert measure("p95", ("chat",), WINDOW, at(60)) is None
    assert measure("error_rate", ("nobody",), WINDOW, at(60)) is None


def test_clickhouse_is_away() -> None:
    """Without ClickHouse it fails, has done nothing, and may be tried again."""
    away = ClickHouseSettings(url="http://127.0.0.1:1").to_environment()
    with pytest.raises(ActionFailedError) as failed:
        CollectLogs({}, Surroundings(away, "collect_logs")).run(CONTEXT)
    assert (failed.value.again, failed.value.may_have_run) == (True, False)


def test_circuit(bootstrap_servers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A circuit opens for a while and closes again; one of somebody else is left alone."""
    own = replace(CONTROLS, name="responses.controls")
    monkeypatch.setattr("inferwatch.response_actions.circuit.CONTROLS", own)
    kafka, registry = KafkaSettings(bootstrap_servers), PinnedRegistry()
    TopicAdmin(kafka).create([own])

    def controls() -> dict[str, Control]:
        read = partial(read_control, registry)
        return dict(compacted_topics.read(kafka, own, read, lambda _: None))

    action = OpenCircuit({"minutes": 5}, Surroundings(kafka.to_environment(), "open_circuit"))
    two = replace(CONTEXT, incident=replace(CONTEXT.incident, services=("chat", "search")))
    by_hand = Control(action=OPEN_CIRCUIT, service="search", reason="mine")
    compacted_topics.publish(kafka, own, registry, {by_hand.target: by_hand.to_record(at(0))})
    outcome = action.run(two)
    opened_now = controls()['{"service":"chat"}']
    assert opened_now.expires_at == at(60 + 300)
    assert opened_now.incident_id == CONTEXT.incident.incident_id
    assert controls()[by_hand.target].reason == "mine"
    assert action.run(two).undo == outcome.undo == '["{\\"service\\":\\"chat\\"}"]'
    assert action.undo(two, outcome.undo or "").startswith("closed")
    assert controls().keys() == {by_hand.target}
    assert "nothing" in action.undo(two, outcome.undo or "")
