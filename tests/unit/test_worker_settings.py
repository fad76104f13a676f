"""Settings of the two workers: from variables, and one sentence for each value that cannot be."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from inferwatch_clickhouse.errors import ClickHouseSettingsError
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_clickhouse.sink.factory import create_app
from inferwatch_clickhouse.sink.settings import SinkSettings
from inferwatch_schemas.health import Health
from inferwatch_schemas.kafka import KafkaSettings, KafkaSettingsError
from inferwatch_schemas.prometheus import MetricsPortError, serve_metrics, serve_metrics_from
from inferwatch_streams.errors import StreamsSettingsError
from inferwatch_streams.settings import AggregationSettings

Read = Callable[[Mapping[str, str]], Any]
AGGREGATION = ("INFERWATCH_AGGREGATION", AggregationSettings.from_environment, StreamsSettingsError)
SINK = ("INFERWATCH_SINK", SinkSettings.from_environment, ClickHouseSettingsError)
each_worker = pytest.mark.parametrize(
    ("prefix", "read", "error"), [AGGREGATION, SINK], ids=["aggregation", "sink"]
)
SHARED_NUMBERS = (
    "flush_seconds", "commit_seconds", "session_timeout_seconds", "stall_seconds", "fetch_bytes",
)  # fmt: skip
NUMBERS = [
    *[(AGGREGATION, name) for name in (*SHARED_NUMBERS, "block_length")],
    *[(SINK, name) for name in (*SHARED_NUMBERS, "flush_bytes")],
]
each_number = pytest.mark.parametrize(("worker", "name"), NUMBERS)


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@each_worker
def test_without_variables_the_defaults_hold(
    prefix: str, read: Read, error: type[Exception]
) -> None:
    """An empty environment is a complete one."""
    del prefix, error
    found = read({})
    assert found == type(found)()
    assert (found.flush_seconds, found.registry_url) == (1.0, None)


@each_worker
def test_fetches_are_no_larger_than_a_chunk_can_take(
    prefix: str, read: Read, error: type[Exception]
) -> None:
    """What would be fetched again and again is refused, with the most that may be given."""
    assert read({f"{prefix}_FETCH_BYTES": "4194304"}).fetch_bytes == 4 << 20
    with pytest.raises(error, match=f"{prefix}_FETCH_BYTES is 4194305; give 4194304 at most"):
        read({f"{prefix}_FETCH_BYTES": "4194305"})


def test_every_variable_of_the_aggregation_is_read() -> None:
    """Each setting has its variable, converted to its type."""
    found = AggregationSettings.from_environment(
        {
            "INFERWATCH_KAFKA_BOOTSTRAP_SERVERS": "kafka:9093",
            "INFERWATCH_REGISTRY_URL": "http://registry",
            "INFERWATCH_AGGREGATION_GROUP": "g",
            "INFERWATCH_AGGREGATION_FLUSH_SECONDS": "0.5",
            "INFERWATCH_AGGREGATION_COMMIT_SECONDS": "3",
            "INFERWATCH_AGGREGATION_SESSION_TIMEOUT_SECONDS": "6",
            "INFERWATCH_AGGREGATION_STALL_SECONDS": "9",
            "INFERWATCH_AGGREGATION_FETCH_BYTES": "4096",
            "INFERWATCH_AGGREGATION_BLOCK_LENGTH": "100",
        }
    )
    assert found == AggregationSettings(
        KafkaSettings("kafka:9093"), "http://registry", "g", 0.5, 3.0, 6.0, 9.0, 4096, 100
    )


def test_every_variable_of_the_sink_is_read() -> None:
    """Each setting has its variable, converted to its type."""
    found = SinkSettings.from_environment(
        {
            "INFERWATCH_KAFKA_BOOTSTRAP_SERVERS": "kafka:9093",
            "INFERWATCH_CLICKHOUSE_URL": "http://clickhouse:8123",
            "INFERWATCH_REGISTRY_URL": "http://registry",
            "INFERWATCH_SINK_GROUP": "g",
            "INFERWATCH_SINK_FLUSH_SECONDS": "0.5",
            "INFERWATCH_SINK_FLUSH_BYTES": "1000",
            "INFERWATCH_SINK_COMMIT_SECONDS": "3",
            "INFERWATCH_SINK_SESSION_TIMEOUT_SECONDS": "6",
            "INFERWATCH_SINK_STALL_SECONDS": "9",
            "INFERWATCH_SINK_FETCH_BYTES": "4096",
        }
    )
    assert found == SinkSettings(
        KafkaSettings("kafka:9093"), ClickHouseSettings("http://clickhouse:8123"),
        "http://registry", "g", 0.5, 1000, 3.0, 6.0, 9.0, 4096,
    )  # fmt: skip


@each_number
@pytest.mark.parametrize("text", ["soon", "", "1s"])
def test_a_text_that_is_no_number_is_refused(
    worker: tuple[str, Read, type[Exception]], name: str, text: str
) -> None:
    """The sentence names the variable and what it holds."""
    prefix, read, error = worker
    kind = "whole number" if name in ("fetch_bytes", "flush_bytes", "block_length") else "number"
    with pytest.raises(error) as raised:
        read({f"{prefix}_{name.upper()}": text})
    assert str(raised.value) == f"{prefix}_{name.upper()} is {text!r}, which is no {kind}."


@each_number
@pytest.mark.parametrize("text", ["0", "-1"])
def test_a_number_that_is_not_above_zero_is_refused(
    worker: tuple[str, Read, type[Exception]], name: str, text: str
) -> None:
    """The sentence names the variable, its value, and what it must be."""
    prefix, read, error = worker
    with pytest.raises(error) as raised:
        read({f"{prefix}_{name.upper()}": text})
    value = type(getattr(read({}), name))(text)
    assert str(raised.value) == (
        f"{prefix}_{name.upper()} is {value}; it must be above 0 and finite."
    )


@each_worker
@pytest.mark.parametrize("text", ["nan", "inf"])
def test_a_number_that_is_none_is_refused(
    prefix: str, read: Read, error: type[Exception], text: str
) -> None:
    """Python reads these as floats; no timer can."""
    with pytest.raises(error, match=f"{prefix}_FLUSH_SECONDS is {text}; it must be above 0"):
        read({f"{prefix}_FLUSH_SECONDS": text})


@each_worker
def test_an_empty_group_is_refused(prefix: str, read: Read, error: type[Exception]) -> None:
    """Kafka would take the worker for a member of no group."""
    with pytest.raises(error, match=f"{prefix}_GROUP is empty"):
        read({f"{prefix}_GROUP": ""})


@each_worker
def test_connection_settings_speak_for_themselves(
    prefix: str, read: Read, error: type[Exception]
) -> None:
    """What Kafka's settings refuse is not said twice."""
    del prefix, error
    with pytest.raises(KafkaSettingsError, match="host:port"):
        read({"INFERWATCH_KAFKA_BOOTSTRAP_SERVERS": "nowhere"})


@pytest.mark.parametrize(("told", "used"), [(300.0, 60.0), (7.0, 7.0)])
def test_the_sink_gives_a_hanging_clickhouse_up_within_a_minute(told: float, used: float) -> None:
    """A query may take minutes; an insert that does is sent again."""
    settings = SinkSettings(clickhouse=ClickHouseSettings(answer_seconds=told))
    landing = create_app(settings).processor
    assert landing._clickhouse.settings == ClickHouseSettings(answer_seconds=used)  # noqa: SLF001  # nothing shows it


def test_metrics_are_served_where_the_variable_says() -> None:
    """On loopback, in Prometheus' text format; without the variable, nowhere."""
    port = free_port()
    serve_metrics_from({"INFERWATCH_METRICS_PORT": str(port)}, Health())
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert b"python_info" in answer.read()
    serve_metrics_from({}, Health())


def test_a_metrics_port_in_use_is_said() -> None:
    """The sentence says what to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(MetricsPortError, match="stop what uses the port or choose another"):
            serve_metrics(taken.getsockname()[1], Health())


@pytest.mark.parametrize("text", ["http", "70000", "-1"])
def test_a_metrics_port_that_is_none_is_refused(text: str) -> None:
    """A port is a whole number of 16 bits."""
    with pytest.raises(MetricsPortError, match=text):
        serve_metrics_from({"INFERWATCH_METRICS_PORT": text}, Health())


@pytest.mark.parametrize(
    ("module", "variable"),
    [
        ("inferwatch_streams.app", "INFERWATCH_AGGREGATION_FLUSH_SECONDS"),
        ("inferwatch_clickhouse.sink.app", "INFERWATCH_SINK_FLUSH_SECONDS"),
    ],
)
def test_fausts_own_command_says_in_one_line_what_is_wrong(module: str, variable: str) -> None:
    """No traceback: the sentence, and a status that is not 0."""
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-m", "faust", "-A", module, "worker"],
        env={**os.environ, variable: "soon"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == f"{variable} is 'soon', which is no number."
