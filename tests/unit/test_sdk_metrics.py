"""The Prometheus metrics of the SDK: names, values, bounds, and several processes at once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from sdk_recorder import AT, NO_PRICES

from inferwatch_agents.calls import Call
from inferwatch_agents.exposition import exposition
from inferwatch_agents.metering import Answered, Bounded, ErrorRate, Metering
from inferwatch_agents.metrics import metrics_of

NAMES = {
    "ai_requests", "ai_request_duration_seconds", "ai_active_connections", "ai_model_info",
    "ai_tokens_processed", "ai_request_queue_size", "ai_error_rate", "ai_model_accuracy_score",
    "gen_ai_client_operation_duration_seconds", "gen_ai_client_token_usage",
    "gen_ai_server_time_to_first_token_seconds", "inferwatch_sdk_events_sent",
    "inferwatch_sdk_events_dropped", "inferwatch_sdk_events_failed", "inferwatch_sdk_faults",
    "inferwatch_sdk_calls_blocked",
}  # fmt: skip
PROMTOOL = shutil.which("promtool")


class Ended(Call):
    """A call that took so long."""

    def __init__(self, model: str = "m", seconds: float = 0.5, error: str | None = None) -> None:
        super().__init__(None, model, "openai", "chat", "/v1/chat")
        self.duration_seconds = seconds
        self.error_type = error
        self.complete(NO_PRICES, AT)


def no_fault(where: str, error: BaseException) -> None:
    """Nothing is to fail."""
    raise AssertionError(where) from error


def metered(
    fault: Callable[[str, BaseException], None] = no_fault,
) -> tuple[Metering, CollectorRegistry]:
    """Metrics of a test's own."""
    registry = CollectorRegistry()
    return Metering(metrics_of(registry), fault), registry


def filled() -> CollectorRegistry:
    """All metrics with something in them."""
    metering, registry = metered()
    call = Ended()
    call.input_tokens, call.output_tokens, call.time_to_first_token_seconds = 10, 5, 0.1
    metering.count([call], [Answered("GET", "/", 200)], 0.0, 1, 2)
    metering.scored("m", 0.9)
    metrics = metrics_of(registry)
    metrics.events_sent.labels("request").inc()
    metrics.events_dropped.labels("request", "queue_full").inc()
    metrics.events_failed.labels("request", "not_encoded").inc()
    metrics.faults.labels("ending a call").inc()
    metrics.calls_blocked.labels("m", "circuit_open").inc()
    return registry


def test_blocked_calls_are_counted_by_reason() -> None:
    """Those that a control stopped, and no other failure."""
    metering, registry = metered()
    errors = ["circuit_open", "circuit_open", "load_shed", "timeout", None]
    calls = [Ended(error=error) for error in errors]
    for call in calls:
        # Of a fallback that streams, where a control stopped the call.
        call.time_to_first_token_seconds = 0.1
    metering.count(calls, [], 0.0, 0, 0)
    counted = [
        registry.get_sample_value(
            "inferwatch_sdk_calls_blocked_total", {"model": "m", "reason": reason}
        )
        for reason in ("circuit_open", "load_shed", "timeout")
    ]
    assert counted == [2, 1, None]
    labels = {"endpoint": "/v1/chat", "model": "m"}
    assert registry.get_sample_value("ai_request_duration_seconds_count", labels) == 2
    (first_tokens,) = (
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "gen_ai_server_time_to_first_token_seconds_count"
    )
    assert first_tokens == 2


def test_the_metrics_are_those_of_the_guide_and_opentelemetry() -> None:
    """Names and labels are what dashboards ask for."""
    _, text = exposition(filled())
    families = {f.name: f for f in text_string_to_metric_families(text.decode())}
    created = {name for name in families if name.endswith("_created")}
    assert families.keys() - created == NAMES
    labels = {name: set(families[name].samples[0].labels) - {"le"} for name in NAMES}
    assert labels["ai_requests"] == {"method", "endpoint", "status"}
    assert labels["ai_request_duration_seconds"] == {"endpoint", "model"}
    assert labels["ai_tokens_processed"] == {"model", "operation"}
    assert labels["ai_active_connections"] == set()
    assert families["ai_requests"].samples[0].name == "ai_requests_total"
    assert families["ai_tokens_processed"].samples[0].name == "ai_tokens_processed_total"
    assert all(family.documentation for family in families.values())


@pytest.mark.external
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say() -> None:
    """Prometheus's own check of names, types and help texts."""
    assert PROMTOOL is not None
    _, text = exposition(filled())
    checked = subprocess.run(  # noqa: S603  # Prometheus's own program
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_calls_are_counted_by_what_they_were() -> None:
    """Each call counts in duration and tokens, a request that they were made in once."""
    metering, registry = metered()
    calls = [Ended(), Ended(error="Timeout"), Ended(), Ended()]
    calls[0].input_tokens, calls[0].output_tokens = 10, 5
    calls[2].status_code, calls[2].method = 429, "POST"
    calls[3].in_request = True
    metering.count(calls, [Answered("POST", "/v1/chat", 503)], 0.0, 3, 4)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    def requests(method: str, status: str) -> float | None:
        return value("ai_requests_total", method=method, endpoint="/v1/chat", status=status)

    assert [requests("", "ok"), requests("", "error"), requests("POST", "429")] == [1, 1, 1]
    assert requests("POST", "503") == 1
    assert value("ai_request_duration_seconds_count", endpoint="/v1/chat", model="m") == 4
    assert value("ai_request_duration_seconds_sum", endpoint="/v1/chat", model="m") == 2
    assert value("ai_tokens_processed_total", model="m", operation="chat") == 15
    assert value("ai_model_info", model="m", provider="openai") == 1
    assert (value("ai_active_connections"), value("ai_request_queue_size")) == (3, 4)
    assert value("ai_error_rate") == 0.5
    operation = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "openai",
        "gen_ai_request_model": "m",
    }
    name = "gen_ai_client_operation_duration_seconds_count"
    assert value(name, **operation, error_type="Timeout") == 1
    assert value("gen_ai_client_token_usage_sum", **operation, gen_ai_token_type="input") == 10  # noqa: S106  # a kind of token that is no secret


def test_labels_are_bounded() -> None:
    """Endpoints and models without end become one series."""
    metering, registry = metered()
    metering.count([Ended(model=f"m{i}") for i in range(500)], [], 0.0, 0, 0)
    metering.count([], [Answered("GET", f"/{i}", 404) for i in range(500)], 0.0, 0, 0)
    _, text = exposition(registry)
    assert len(text.splitlines()) < 10_000
    other = {"method": "GET", "endpoint": "_OTHER", "status": "404"}
    # One place is taken by the calls' endpoint.
    assert registry.get_sample_value("ai_requests_total", other) == 401
    bounded = Bounded(2)
    assert [bounded(value) for value in "abcab"] == ["a", "b", "_OTHER", "a", "b"]


def test_the_error_rate_slides() -> None:
    """What ended a minute ago does not count any more."""
    rate = ErrorRate(60)
    assert rate.share(0.0) == 0
    rate.add(0.5, 10, 10)
    rate.add(30.0, 30, 0)
    assert rate.share(59.9) == 0.25
    assert rate.share(60.0) == 0
    assert rate.share(200.0) == 0


def test_several_processes_are_one_service(tmp_path: Path) -> None:
    """Counters and things in progress are added up, and the worst error rate is shown."""
    program = """
import os, sys
import inferwatch_agents
import structlog
from inferwatch_agents import process
from prometheus_client import REGISTRY
from inferwatch_agents.exposition import exposition
# The output is for the metrics alone.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
inferwatch_agents.init("svc", kafka="127.0.0.1:1")
children = []
for number in range(2):
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        for _ in range(3):
            call = inferwatch_agents.call(model="m")
            call.error_type = "Timeout" if number else None
            call.end()
        if number == 0:
            process.active().scored.append(("m", 0.5))
        waiting = inferwatch_agents.call(model="m")
        # Counted together with all that came before it.
        while REGISTRY.get_sample_value("ai_request_queue_size") != 1:
            inferwatch_agents.flush(0.02)
        os.write(writer, b"x")
        os._exit(0)
    children.append((child, reader))
for _, reader in children:
    os.read(reader, 1)
print(exposition()[1].decode())
"""
    environment = os.environ | {
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
        "INFERWATCH_FLUSH_SECONDS": "0.1",
    }
    ended = subprocess.run(  # noqa: S603  # our own program, no shell
        [sys.executable, "-c", program],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(ended.stdout)
        for sample in family.samples
    }
    assert samples["ai_request_queue_size",] == 2
    assert samples["ai_error_rate",] == 1
    assert samples["ai_model_accuracy_score", ("model", "m")] == 0.5
    endpoint, method = ("endpoint", ""), ("method", "")
    assert samples["ai_requests_total", endpoint, method, ("status", "ok")] == 3
    assert samples["ai_requests_total", endpoint, method, ("status", "error")] == 3
    assert samples["ai_model_info", ("model", "m"), ("provider", "unknown")] == 1


@pytest.mark.parametrize(
    ("name", "value"), [("input_tokens", -1), ("error_type", ["x"]), ("endpoint", {})]
)
def test_a_call_that_cannot_be_counted_spoils_no_other(name: str, value: object) -> None:
    """Whatever its owner has set: it is a fault, and those around it are counted."""
    faults: list[str] = []
    metering, registry = metered(lambda where, _error: faults.append(where))
    odd = Ended()
    setattr(odd, name, value)
    metering.count([Ended(), odd, Ended()], [Answered("GET", "/", 200)], 0.0, 1, 2)
    labels = {"endpoint": "/v1/chat", "model": "m"}
    assert (registry.get_sample_value("ai_request_duration_seconds_count", labels) or 0) >= 2
    assert registry.get_sample_value("ai_active_connections") == 1
    labels = {"method": "GET", "endpoint": "/", "status": "200"}
    assert registry.get_sample_value("ai_requests_total", labels) == 1
    assert faults == ["counting a call"]


def test_a_label_is_short() -> None:
    """A model that a caller names is no way to fill the memory."""
    bounded = Bounded()
    assert bounded("m" * 512) == "m" * 512
    assert bounded("m" * 513) == "_OTHER"
