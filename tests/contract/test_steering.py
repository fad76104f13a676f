"""A service is told of experiments and controls over Kafka, obeys, and what it did is counted."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Producer
from pipeline import Stack, Worker, wait_until
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

import inferwatch_agents
from inferwatch.main import app
from inferwatch_agents import CircuitOpenError, assign, conversion, guard, monitor
from inferwatch_schemas.topics import EXPERIMENTS

PROMPT = {"key": "prompt", "variants": {"short": 0.5, "long": 0.5}, "metrics": ["thumbs_up"]}
FORKING = {"key": "forking", "variants": ["short", "long"], "forced": {"u": "long"}}
USERS = [f"u{number}" for number in range(60)]


def run(stack: Stack, *arguments: str) -> None:
    """Run a command against the broker."""
    done = CliRunner().invoke(app, arguments, env=stack.kafka.to_environment())
    assert done.exit_code == 0, (done.output, done.exception)


@pytest.fixture(scope="module", autouse=True)
def worker(stack: Stack) -> Iterator[Worker]:
    """Start a worker; the tests that do not ask for what it counts do not wait for it."""
    with stack.worker("steering") as running:
        file = stack.folder / "experiments.json"
        file.write_text(json.dumps([PROMPT, FORKING]), encoding="utf-8")
        run(stack, "experiments", "put", str(file))
        yield running


@pytest.fixture(scope="module")
def service(stack: Stack) -> Iterator[CollectorRegistry]:
    """Start the SDK of a service that knows what there is; yield its metrics."""
    metrics = CollectorRegistry()
    inferwatch_agents.init("steered", environment="test", kafka=stack.kafka, metrics=metrics)
    assert inferwatch_agents.follow(10)
    yield metrics
    inferwatch_agents.shutdown()


def seconds_until(condition: Callable[[], bool]) -> float:
    """How long it took until a condition held; at most ten seconds."""
    began = time.monotonic()
    while not condition() and time.monotonic() < began + 10:
        time.sleep(0.01)
    return time.monotonic() - began


def test_a_forked_child_reads_for_itself(stack: Stack) -> None:
    """It knows at once what its parent knew, then what is told later, and both end well."""
    program = str(Path(__file__).with_name("steered.py"))
    with subprocess.Popen(  # noqa: S603  # our own program, no shell
        [sys.executable, program, stack.kafka.bootstrap_servers], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = sorted(process.stdout.readline() for _ in range(2))
        assert lines == ["child long\n", "parent long\n"]
        run(stack, "controls", "open", "--service", "forking")
        assert sorted(process.stdout) == ["child stopped\n", "parent stopped\n"]
        assert process.wait(30) == 0


def test_a_circuit_opens_and_closes(stack: Stack, service: CollectorRegistry) -> None:
    """Within two seconds of the command: the fallback is called, then the function again."""

    @monitor(model="m", fallback=lambda: "later")
    def ask() -> str:
        return "asked"

    def guarded() -> None:
        with inferwatch_agents.call(model="m"):
            guard()

    assert ask() == "asked"
    options = ("--model", "m", "--environment", "test")
    run(stack, "controls", "open", *options, "--reason", "too slow", "--incident", "7")
    assert seconds_until(lambda: ask() == "later") < 2
    with pytest.raises(CircuitOpenError, match=r"too slow \(incident 7\)"):
        guarded()
    run(stack, "controls", "close", *options)
    assert seconds_until(lambda: ask() == "asked") < 2
    guarded()
    assert inferwatch_agents.flush(10)
    labels = {"model": "m", "reason": "circuit_open"}
    assert (service.get_sample_value("inferwatch_sdk_calls_blocked_total", labels) or 0) >= 2


def test_what_nobody_can_use_is_removed(stack: Stack) -> None:
    """A record that is no definition holds up nothing, and the command that removes others does."""
    producer = Producer(stack.kafka.confluent())
    producer.produce(EXPERIMENTS.name, b"garbage", key="broken")
    assert producer.flush(10) == 0
    listed = partial(CliRunner().invoke, app, env=stack.kafka.to_environment())
    done = listed(["experiments", "list"])
    assert done.exit_code == 0
    assert "b'broken' The first byte is 103" in done.stderr
    run(stack, "experiments", "remove", "broken")
    assert listed(["experiments", "remove", "broken"]).exit_code == 1


@pytest.mark.usefixtures("service")
def test_an_experiment_is_counted(stack: Stack, worker: Worker) -> None:
    """Put, assigned, exposed, converted, landed; stopped, everybody gets the winner."""
    dealt = {user: assign("prompt", user) for user in USERS + USERS}
    for user in USERS[:20]:
        conversion("thumbs_up", 2.0, user=user)
    exposed = Counter(dealt.values())
    converted = Counter(dealt[user] for user in USERS[:20])
    assert exposed.keys() == converted.keys() == {"short", "long"}
    assert inferwatch_agents.flush(10)
    run(stack, "experiments", "stop", "prompt", "--winner", "short")
    assert seconds_until(lambda: {assign("prompt", user) for user in USERS} == {"short"}) < 2

    expected = [(v, "thumbs_up", exposed[v], converted[v]) for v in ("long", "short")]
    wait_until(
        lambda: stack.query(
            "SELECT variant, metric, exposures, conversions FROM experiments "
            "WHERE experiment = 'prompt' ORDER BY variant"
        ),
        lambda found: found == expected,
        worker,
        seconds=60,
    )
    wait_until(
        lambda: stack.query(
            "SELECT variant, metric, users, users_converted FROM experiment_users ORDER BY variant"
        ),
        lambda found: found == expected,
        worker,
        seconds=30,
    )


def test_what_was_told_stays(stack: Stack, worker: Worker) -> None:
    """Each definition with its weights, and each control; an end is no dead letter."""
    definitions = wait_until(
        lambda: stack.query(
            "SELECT status, winner, variants.variant, variants.weight FROM experiment_definitions "
            "WHERE experiment = 'prompt' ORDER BY event_time"
        ),
        lambda found: len(found) == 2,
        worker,
        seconds=30,
    )
    weights = (["short", "long"], [0.5, 0.5])
    assert definitions == [("running", None, *weights), ("stopped", "short", *weights)]
    controls = wait_until(
        lambda: stack.query("SELECT action, model, reason, incident_id FROM controls"),
        lambda found: len(found) == 2,
        worker,
        seconds=30,
    )
    assert ("open_circuit", "m", "too slow", "7") in controls
    assert stack.query("SELECT DISTINCT key FROM dead_letters") == [("broken",)]
