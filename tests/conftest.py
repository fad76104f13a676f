"""The servers that suites share: each is started once a session, when a test first asks for it."""

import os
from collections.abc import Generator, Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.kafka import ApacheKafka
from inferwatch_agents import spool
from inferwatch_agents.context import BELONGING, NOBODY

# How long an example takes depends on what else the machine does; pytest has limits of its own.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what monitored tests leave behind out of this user's folder."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(spool, "MEMORY", folder)
        patched.setenv("INFERWATCH_STATE_DIR", str(folder))
        yield


@pytest.fixture(autouse=True)
def _nobody() -> None:
    """Forget whom an earlier test has said that calls are of."""
    BELONGING.set(NOBODY)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Undo what commands that run within a test have made of the process's logging."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """Yield the embedded broker; topics must have names of their own."""
    with EmbeddedBroker(tmp_path_factory.mktemp("embedded-broker")) as broker:
        yield broker


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """Yield Apache Kafka; topics must have names of their own, and nobody kills this one."""
    folder = tmp_path_factory.mktemp("apache-kafka")
    with ApacheKafka(folder / "data", folder) as kafka:
        yield kafka


@pytest.fixture(
    scope="session", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)]
)
def bootstrap_servers(request: pytest.FixtureRequest) -> str:
    """Return where clients connect: each test runs on the embedded broker and on Apache Kafka."""
    name = "embedded_broker" if request.param == "embedded" else "apache_kafka"
    broker: EmbeddedBroker | ApacheKafka = request.getfixturevalue(name)
    return broker.bootstrap_servers


# By marker: .ci/run does without no test that needs more than Python.
REQUIRED = {"kafka": "INFERWATCH_REQUIRE_KAFKA", "external": "INFERWATCH_REQUIRE_EXTERNAL"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what is skipped although it must run."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        for marker, variable in REQUIRED.items():
            if os.environ.get(variable) == "1" and item.get_closest_marker(marker):
                report.outcome = "failed"
                report.longrepr = f"{variable}=1 forbids skipping {item.nodeid}"
    return report
