"""Starting the SDK: settings and variables, and one sentence for what cannot be."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

import inferwatch_agents
from inferwatch_agents import ConfigurationError, DeliverySettings, process
from inferwatch_agents.metering import Answered
from inferwatch_schemas.kafka import KafkaSettings

# Listening on the lowest port needs root, and tcpmux is served nowhere.
NOBODY = "127.0.0.1:1"
QUICK = DeliverySettings(flush_seconds=0.01)


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    yield
    inferwatch_agents.shutdown()


def test_it_starts_without_kafka_and_stops() -> None:
    """A broker that does not answer is no error, and nothing waits for it."""
    inferwatch_agents.init(
        "svc", environment="staging", kafka=NOBODY, delivery=QUICK, metrics=CollectorRegistry()
    )
    found = process.active()
    assert found is not None
    assert (found.service, found.environment) == ("svc", "staging")
    inferwatch_agents.shutdown()
    assert process.active() is None
    inferwatch_agents.shutdown()


def test_all_can_be_said_by_variables() -> None:
    """A container needs no code to be configured."""
    variables = {
        "INFERWATCH_SERVICE": "svc",
        "INFERWATCH_ENVIRONMENT": "staging",
        "INFERWATCH_KAFKA_BOOTSTRAP_SERVERS": NOBODY,
        "INFERWATCH_QUEUE_EVENTS": "7",
        "INFERWATCH_QUEUE_BYTES": "70000",
        "INFERWATCH_FLUSH_SECONDS": "0.01",
    }
    inferwatch_agents.init(variables=variables, metrics=CollectorRegistry())
    found = process.active()
    assert found is not None
    assert (found.service, found.environment) == ("svc", "staging")
    assert found.delivery.settings == DeliverySettings(7, 70_000, 0.01)


def test_an_argument_wins_over_its_variable() -> None:
    """And the environment is not known where nobody says it."""
    variables = {"INFERWATCH_SERVICE": "other", "INFERWATCH_KAFKA_BOOTSTRAP_SERVERS": "nonsense"}
    inferwatch_agents.init(
        "svc", kafka=NOBODY, delivery=QUICK, variables=variables, metrics=CollectorRegistry()
    )
    found = process.active()
    assert found is not None
    assert (found.service, found.environment) == ("svc", "unknown")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, r"no name; give init\(service=...\) or set INFERWATCH_SERVICE"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka"}, "'kafka' is not of the form host:port"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "security.protocol is 'TLS'"),
        ({"QUEUE_EVENTS": "many"}, "INFERWATCH_QUEUE_EVENTS is 'many', which is no whole number"),
        ({"QUEUE_BYTES": "0"}, "INFERWATCH_QUEUE_BYTES is 0; it must be above 0"),
        ({"FLUSH_SECONDS": "nan"}, "INFERWATCH_FLUSH_SECONDS is nan"),
        ({"QUEUE_EVENTS": "10000001"}, "INFERWATCH_QUEUE_EVENTS is 10000001; .* 10000000 at most"),
        ({"QUEUE_BYTES": "9999999999999"}, "INFERWATCH_QUEUE_BYTES is 9999999999999; .* at most"),
        ({"PRICES": "/none/such.json"}, "price table /none/such.json cannot be read"),
    ],
)
def test_what_cannot_be_is_one_sentence(variables: dict[str, str], said: str) -> None:
    """It says what to change, and nothing was started."""
    found = {f"INFERWATCH_{name}": value for name, value in variables.items()}
    if variables:
        found["INFERWATCH_SERVICE"] = "svc"
    with pytest.raises(ConfigurationError, match=said) as caught:
        inferwatch_agents.init(variables=found, metrics=CollectorRegistry())
    assert str(caught.value).count("\n") == 0
    assert process.active() is None


def test_a_second_start_is_refused() -> None:
    """Two would send each call twice, under one name."""
    settings = KafkaSettings(NOBODY)
    inferwatch_agents.init("svc", kafka=settings, delivery=QUICK, metrics=CollectorRegistry())
    with pytest.raises(ConfigurationError, match="called before"):
        inferwatch_agents.init("svc", kafka=settings)


def test_a_price_table_of_ones_own_is_used(tmp_path: Path) -> None:
    """From a file that is named."""
    table = tmp_path / "prices.json"
    table.write_text(
        '{"currency": "USD", "models": [{"provider": "me", "model": "m", "prices": '
        '[{"valid_from": "2025-01-01", "input": "1", "output": "1"}]}]}',
        encoding="utf-8",
    )
    inferwatch_agents.init(
        "svc", kafka=NOBODY, delivery=QUICK, prices=table, metrics=CollectorRegistry()
    )
    call = inferwatch_agents.call(model="m")
    call.input_tokens = call.output_tokens = 5
    call.end()
    inferwatch_agents.shutdown()
    assert (call.cost_usd_micros, call.provider) == (10, "me")


def test_metrics_survive_a_second_start() -> None:
    """A name can be registered once, so both count into the same metrics."""
    registry = CollectorRegistry()
    for _ in range(2):
        inferwatch_agents.init("svc", kafka=NOBODY, delivery=QUICK, metrics=registry)
        inferwatch_agents.call(model="m").end()
        inferwatch_agents.shutdown()
    labels = {"method": "", "endpoint": "", "status": "ok"}
    assert registry.get_sample_value("ai_requests_total", labels) == 2


OTHERS = {
    "aiokafka", "anthropic", "clickhouse_connect", "faust", "inferwatch", "inferwatch_clickhouse",
    "inferwatch_streams", "numba", "numpy", "openai", "opentelemetry", "starlette", "typer",
}  # fmt: skip
IMPORTS = """
import sys
import inferwatch_agents.asgi, inferwatch_agents.evaluation, inferwatch_agents.exposition
for name in inferwatch_agents.__all__:
    getattr(inferwatch_agents, name)
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_a_service_needs_the_base_install_only() -> None:
    """No client, framework, tracing library or other part of the pipeline is imported."""
    told = subprocess.run(  # noqa: S603  # our own program, no shell
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert OTHERS.isdisjoint(told)
    assert "inferwatch_agents" in told


def test_every_name_of_the_package_is_there() -> None:
    """Names are imported late; none is promised that is not found."""
    for name in inferwatch_agents.__all__:
        assert getattr(inferwatch_agents, name).__name__ == name
    assert not hasattr(inferwatch_agents, "nothing")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_counts_nothing_of_its_parents() -> None:
    """Requests under way and not yet counted are the parent's, in the metrics of all processes."""
    inferwatch_agents.init("svc", kafka=NOBODY, delivery=QUICK, metrics=CollectorRegistry())
    found = process.active()
    assert found is not None
    found.connections.add(1)
    with inferwatch_agents.call(model="m"):
        found.answered.append(Answered("GET", "/", 200))
        child = os.fork()
        if child == 0:
            os._exit(bool(found.connections or found.answered or found._calls))  # noqa: SLF001  # not to be seen otherwise
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
