"""TLS and SASL: all that talks to Kafka gets in by each way, and says why where it does not."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import secure_broker
from secure_broker import PLAIN_USER, SECRETS, SecureBroker
from typer.testing import CliRunner

from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch.embedded.processes import Child
from inferwatch.main import app
from inferwatch_agents.publisher import Publisher
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.faust import check_connects
from inferwatch_schemas.kafka import MECHANISMS, KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry

pytestmark = pytest.mark.kafka

PROGRAM = (sys.executable, "-c", "from inferwatch.main import run; run()")
EVENTS = 200
POLL_SECONDS = 0.2
LANDED_SECONDS = 60
# They need 7 to 9; the rest is for starting three programs on a busy machine.
REFUSED_SECONDS = 25
WRONG_PASSWORD = "wr0ng-S3cret"  # noqa: S105  # of nobody


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """Yield a node of this module's own."""
    with secure_broker.running(tmp_path_factory.mktemp("secure-kafka")) as running:
        yield running


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    """Yield a migrated database."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with EmbeddedClickHouse(folder / "data", folder) as server:
        settings = ClickHouseSettings(url=server.url)
        migrate(settings)
        yield settings


def variables(kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> dict[str, str]:
    """This process' variables, with nothing of Inferwatch's but where the two are."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("INFERWATCH_")}
    return own | kafka.to_environment() | clickhouse.to_environment()


def assert_tells_no_secret(text: str) -> None:
    """No password is in a text, whole or escaped."""
    for secret in (*SECRETS, WRONG_PASSWORD):
        assert secret not in text
        assert "S3cret" not in text


def publish(kafka: KafkaSettings, service: str) -> None:
    """Publish requests of a service with the SDK."""
    publisher = Publisher(kafka, PinnedRegistry())
    record = {
        "service_name": service,
        "deployment_environment_name": "test",
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "openai",
        "gen_ai_request_model": "large",
        "endpoint": "/",
    }
    for _ in range(EVENTS):
        publisher.publish("request", record)
    publisher.flush(20)
    assert publisher.delivered == EVENTS


def landed(clickhouse: ClickHouseSettings, service: str) -> tuple[int, int]:
    """How many requests of a service are in the raw table, and in the windows."""
    asked = ClickHouse(clickhouse)
    try:
        ((raw,),) = asked.query(
            "SELECT count() FROM requests WHERE service_name = {s:String}", {"s": service}
        )
        ((windows,),) = asked.query(
            "SELECT sum(requests) FROM requests_1m WHERE service = {s:String}", {"s": service}
        )
    finally:
        asked.close()
    return raw, windows


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("listener", ["ENCRYPTED", "CLEAR"])
def test_both_clients_know_every_mechanism(
    broker: SecureBroker, listener: str, mechanism: str
) -> None:
    """With TLS and without, also where name and password hold what SASL itself writes."""
    kafka = broker.with_password(listener, mechanism)
    assert TopicAdmin(kafka).brokers() == 1
    check_connects(kafka)


@pytest.mark.parametrize("way", ["password-tls", "password-clear", "certificate"])
def test_every_part_gets_in(
    broker: SecureBroker, clickhouse: ClickHouseSettings, tmp_path: Path, way: str
) -> None:
    """Topics, publisher, doctor and both roles of a worker: counted and landed, no secret told."""
    kafka = {
        "password-tls": broker.with_password("ENCRYPTED", "SCRAM-SHA-512"),
        "password-clear": broker.with_password("CLEAR", "PLAIN"),
        "certificate": broker.with_certificate(),
    }[way]
    environment = variables(kafka, clickhouse)
    log = tmp_path / "worker.log"
    created = CliRunner().invoke(app, ["topics", "create"], env=environment)
    assert created.exit_code == 0, created.output
    command = [*PROGRAM, "worker", "--log-level", "debug"]
    with Child.start(command, name="worker", log=log, env=environment) as worker:
        publish(kafka, way)
        doctor = CliRunner().invoke(app, ["doctor", "--data", str(tmp_path)], env=environment)
        deadline = time.monotonic() + LANDED_SECONDS
        while landed(clickhouse, way) != (EVENTS, EVENTS):
            assert worker.alive, log.read_text()
            assert time.monotonic() < deadline, log.read_text()[-5000:]
            time.sleep(POLL_SECONDS)
        running = psutil.Process(worker.pid)
        for process in (running, *running.children(recursive=True)):
            assert_tells_no_secret(" ".join(process.cmdline()))
    assert doctor.exit_code == 0, doctor.output
    told = log.read_text()
    assert "Request to" in told
    assert "Traceback" not in told
    for text in (told, created.output, doctor.output, repr(kafka)):
        assert_tells_no_secret(text)


def refused(broker: SecureBroker, case: str) -> KafkaSettings:
    """Settings that do not get in."""
    plain = broker.with_password("ENCRYPTED", "PLAIN")
    return {
        "password": replace(plain, sasl_password=WRONG_PASSWORD),
        "authority": replace(plain, ssl_ca_location=str(broker.stranger)),
        "client certificate": broker.at("MUTUAL"),
    }[case]


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("password", f"refuses user '{PLAIN_USER}' by PLAIN"),
        ("authority", "check --ssl-ca-location"),
        ("client certificate", "check --ssl-certificate-location"),
    ],
    ids=["password", "authority", "client certificate"],
)
def test_a_refusal_is_one_sentence_in_time(
    broker: SecureBroker, clickhouse: ClickHouseSettings, tmp_path: Path, case: str, sentence: str
) -> None:
    """Each command says what to change and fails, and the clients log nothing beside."""
    environment = variables(refused(broker, case), clickhouse)
    trace = tmp_path / "requests_load0042.jsonl"
    trace.write_text(
        '{"first_chunk_time": 0.5, "total_chunk_time": 1.5, "in_len": 1, "record_time": 0.1}\n'
    )
    commands = (("topics", "create"), ("worker",), ("replay", "vllm_burstgpt", str(trace)))

    def run(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603  # our own interpreter and constant arguments
            [*PROGRAM, *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=REFUSED_SECONDS,
            check=False,
        )

    # They mostly wait.
    with ThreadPoolExecutor(len(commands)) as pool:
        outcomes = list(pool.map(run, commands))
    for command, done in zip(commands, outcomes, strict=True):
        assert (done.returncode, done.stdout) == (1, ""), (command, done)
        assert done.stderr.startswith("inferwatch: Kafka at "), (command, done)
        assert done.stderr.count("\n") == 1, (command, done)
        assert sentence in done.stderr, (command, done)
        assert_tells_no_secret(done.stderr)


def test_a_certificate_for_another_host_is_refused_by_both_clients(broker: SecureBroker) -> None:
    """Its authority is trusted and the connection is to the right broker, and yet."""
    elsewhere = broker.at("ELSEWHERE")
    with pytest.raises(KafkaUnavailableError, match="for another host"):
        TopicAdmin(elsewhere, timeout=2).brokers()
    with pytest.raises(KafkaUnavailableError, match=r"not valid for '127\.0\.0\.1'"):
        check_connects(elsewhere)
