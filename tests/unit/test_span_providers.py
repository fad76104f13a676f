"""Where spans go: the provider of a service, one of our own, Kafka, and an OTLP receiver."""

import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider
from prometheus_client import CollectorRegistry

import inferwatch_agents
from inferwatch_agents import ConfigurationError, DeliverySettings, monitor, process
from inferwatch_agents.traces import SpanExporter, providers
from inferwatch_agents.traces.tracing import Tracing

QUICK = DeliverySettings(flush_seconds=0.1)
# Listening on the lowest port needs root.
NOBODY = "127.0.0.1:1"


class Global:
    """Stands for ``opentelemetry.trace``, whose provider can be set only once in a process."""

    def __init__(self) -> None:
        self.ProxyTracerProvider = ProxyTracerProvider
        self.provider: Any = ProxyTracerProvider()
        self.get_tracer = trace.get_tracer

    def get_tracer_provider(self) -> Any:
        """The provider."""
        return self.provider

    def set_tracer_provider(self, provider: Any) -> None:
        """Set the provider."""
        self.provider = provider


@pytest.fixture(name="found")
def _found(monkeypatch: pytest.MonkeyPatch) -> Iterator[Global]:
    found = Global()
    monkeypatch.setattr(providers, "trace", found)
    for variable in ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"):
        monkeypatch.delenv(variable, raising=False)
    yield found
    inferwatch_agents.shutdown()
    if isinstance(found.provider, TracerProvider):
        found.provider.shutdown()


def start(traces: str | None, **variables: str) -> list[tuple[str, dict[str, Any]]]:
    """Start the SDK, and keep what it emits."""
    inferwatch_agents.init(
        "svc", environment="test", kafka=NOBODY, delivery=QUICK, metrics=CollectorRegistry(),
        traces=traces, variables=variables,
    )  # fmt: skip
    emitted: list[tuple[str, dict[str, Any]]] = []

    def emit(schema: str, content: Any, _size: int, _at: int | None = None) -> None:
        emitted.append((schema, content.record()))

    sdk = process.active()
    assert sdk is not None
    sdk.delivery.emit = emit  # type: ignore[method-assign]  # nothing is sent here
    return emitted


@monitor(model="gpt-4.1")
def ask() -> dict[str, Any]:
    """Answer as OpenAI does."""
    return {"model": "gpt-4.1-2025-04-14", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}


class Receiver:
    """An OTLP/HTTP receiver made from OpenTelemetry's own message types.

    Attributes:
        requests: What it was sent.
        paths: Where to.
        status: What it answers.
    """

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.paths: list[str] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/x-protobuf"
                receiver.paths.append(self.path)
                receiver.requests.append(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(receiver.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(name="receiver")
def _receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiver = Receiver()
    port = receiver.server.server_port
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    yield receiver
    receiver.close()


def test_a_service_without_a_provider_gets_one(found: Global) -> None:
    """It names service and environment, and spans go to Kafka with the event's ids."""
    emitted = start("kafka")
    ask()
    (span_schema, span), (request_schema, request) = emitted
    assert (span_schema, request_schema) == ("span", "request")
    assert (span["trace_id"], span["span_id"]) == (request["trace_id"], request["span_id"])
    assert span["service_name"] == "svc"
    # The price table knows whose model it is, and the span as well as the event is told.
    assert span["gen_ai_provider_name"] == request["gen_ai_provider_name"] == "openai"
    assert found.provider.resource.attributes["deployment.environment.name"] == "test"


def test_a_service_keeps_its_provider_and_its_name(found: Global) -> None:
    """Our exporter is added to it, once, also where the SDK starts again."""
    own = found.provider = TracerProvider(shutdown_on_exit=False)
    start("kafka")
    inferwatch_agents.shutdown()
    emitted = start(None, INFERWATCH_TRACES="kafka")
    ask()
    assert found.provider is own
    assert [schema for schema, _ in emitted] == ["span", "request"]


def test_spans_may_go_where_the_service_sends_them(found: Global) -> None:
    """With an exporter of ours that it adds by itself, or with none."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415  # for this test alone

    own = TracerProvider(shutdown_on_exit=False)
    found.get_tracer = own.get_tracer
    emitted = start("provider")
    ask()
    own.add_span_processor(SimpleSpanProcessor(SpanExporter()))
    ask()
    assert [schema for schema, _ in emitted] == ["request", "span", "request"]
    assert {record["service_name"] for _, record in emitted} == {"svc"}
    inferwatch_agents.shutdown()
    with own.get_tracer("t").start_as_current_span("after the end"):
        pass
    assert len(emitted) == 3


def test_an_otlp_receiver_takes_the_spans(found: Global, receiver: Receiver) -> None:
    """Names, ids and attributes arrive as they are, beside those to Kafka."""
    emitted = start("kafka, otlp")
    ask()
    found.provider.force_flush()
    (request,) = receiver.requests
    assert receiver.paths == ["/v1/traces"]
    (resource_spans,) = request.resource_spans
    resource = {pair.key: pair.value.string_value for pair in resource_spans.resource.attributes}
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("svc", "test")
    (scope_spans,) = resource_spans.scope_spans
    (span,) = scope_spans.spans
    assert (scope_spans.scope.name, span.name) == ("inferwatch", "chat gpt-4.1")
    assert span.kind == span.SPAN_KIND_CLIENT
    attributes = {pair.key: pair.value for pair in span.attributes}
    assert attributes["gen_ai.response.model"].string_value == "gpt-4.1-2025-04-14"
    assert attributes["gen_ai.usage.output_tokens"].int_value == 4
    assert [schema for schema, _ in emitted] == ["span", "request"]
    for _, record in emitted:
        assert record["trace_id"] == span.trace_id.hex()
        assert record["span_id"] == span.span_id.hex()


@pytest.mark.usefixtures("found")
def test_spans_leave_where_no_end_of_the_process_sends_them(receiver: Receiver) -> None:
    """Before uvicorn ends by a signal, and in a child of multiprocessing."""
    start("otlp")
    sdk = process.active()
    assert sdk is not None
    ask()
    sdk.flush()
    assert len(receiver.requests) == 1
    child = multiprocessing.get_context("fork").Process(target=ask)
    child.start()
    child.join()
    assert child.exitcode == 0
    assert len(receiver.requests) == 2


def test_a_collector_that_hangs_holds_up_nobody() -> None:
    """Longer than the settings of the SDK say."""
    gone = threading.Event()
    processor = SimpleNamespace(force_flush=gone.wait)
    began = time.monotonic()
    Tracing(cast("Any", None), (cast("Any", processor),)).flush(0.05)
    assert time.monotonic() - began < 5
    gone.set()


def test_a_receiver_that_refuses_is_counted(found: Global, receiver: Receiver) -> None:
    """The service does not hear of it, and the next spans are sent."""
    receiver.status = 400
    start("otlp")
    ask()
    found.provider.force_flush()
    sdk = process.active()
    assert sdk is not None
    assert sdk.delivery.faults.counts == {"exporting spans by OTLP": 1}
    receiver.status = 200
    ask()
    found.provider.force_flush()
    assert len(receiver.requests) == 2
    assert sdk.delivery.faults.counts == {"exporting spans by OTLP": 1}


@pytest.mark.parametrize(
    ("traces", "variables", "told"),
    [
        ("jaeger", {}, "traces is 'jaeger'; give kafka, otlp, kafka,otlp or provider."),
        ("kafka,provider", {}, "traces is 'kafka,provider'; give kafka, otlp, kafka,otlp or"),
        ("otlp", {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
         "OTEL_EXPORTER_OTLP_PROTOCOL is grpc; install opentelemetry-exporter-otlp-proto-grpc."),
        ("otlp", {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
         "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is http/json; set http/protobuf or grpc."),
        ("otlp", {"OTEL_BSP_MAX_QUEUE_SIZE": "-1"},
         "OpenTelemetry's OTLP exporter refuses its settings, check OTEL_*: max_queue_size must"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_at_the_start(
    found: Global,
    monkeypatch: pytest.MonkeyPatch,
    traces: str,
    variables: dict[str, str],
    told: str,
) -> None:
    """In one sentence; nothing is set, and the SDK does not run."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        start(traces)
    assert str(caught.value).startswith(told)
    assert process.active() is None
    assert isinstance(found.provider, ProxyTracerProvider)


def test_a_provider_of_another_kind_is_left_alone(found: Global) -> None:
    """It can still be what spans are made with."""
    found.provider = NoOpTracerProvider()
    with pytest.raises(ConfigurationError, match="give traces='provider'"):
        start("kafka")
    found.get_tracer = found.provider.get_tracer
    emitted = start("provider")
    ask()
    # Spans of nothing have no ids.
    assert [(schema, record["trace_id"]) for schema, record in emitted] == [("request", None)]


def test_what_an_exporter_raises_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any exception, in ours and in OpenTelemetry's."""
    faults: list[str] = []
    sdk = SimpleNamespace(fault=lambda where, _: faults.append(where))
    monkeypatch.setattr(process, "_active", sdk)
    counted = providers.CountedExporter(SimpleNamespace())  # type: ignore[arg-type]  # it has no method at all
    assert counted.export([]).name == "FAILURE"
    assert SpanExporter().export([SimpleNamespace()]).name == "FAILURE"
    assert faults == ["exporting spans by OTLP", "exporting a span"]


def test_the_sdks_own_kafka_clients_make_no_spans() -> None:
    """Where OpenTelemetry's instrumentation has put a class of its own in the place of Kafka's."""
    program = (
        "import confluent_kafka\n"
        "confluent_kafka.Producer = confluent_kafka.Consumer = None\n"
        "from inferwatch_agents.compacted_reader import Consumer\n"
        "from inferwatch_agents.sender import Producer\n"
        "assert len(Producer({})) == 0\n"
        "Consumer({'group.id': 'g'}).close()\n"
    )
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)  # noqa: S603  # our own program, no shell
