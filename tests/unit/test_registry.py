"""Registries: pinned ids, and what each answer of a Confluent registry means."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from inferwatch_schemas import releases
from inferwatch_schemas.errors import (
    RegistryUnavailableError,
    SchemaRefusedError,
    SchemasError,
    UnknownSchemaError,
)
from inferwatch_schemas.registry import ConfluentRegistry, PinnedRegistry


@contextmanager
def server(status: int, answer: Any) -> Iterator[tuple[str, list[str]]]:
    """Run an HTTP server that gives one answer to all; yield its URL and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815  # the names http.server looks for

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", asked
    finally:
        http.shutdown()
        thread.join(10)
        http.server_close()


def test_pinned_ids_resolve_both_ways() -> None:
    """The id that a writer gets leads a reader to the same schema."""
    registry = PinnedRegistry()
    for name in releases.current_names():
        assert registry.schema(registry.id_of(name)) == releases.latest(name).schema


def test_unknown_pins_are_refused() -> None:
    """A name or id that is not pinned is an UnknownSchemaError with it."""
    with pytest.raises(UnknownSchemaError, match="'nothing'"):
        PinnedRegistry().id_of("nothing")
    with pytest.raises(UnknownSchemaError, match="9999"):
        PinnedRegistry().schema(9999)


def test_an_id_is_looked_up_once() -> None:
    """The id is the registry's, found under the topic's subject and remembered."""
    text = releases.latest("request").text
    found = {"subject": "inferwatch.requests-value", "id": 77, "version": 1, "schema": text}
    with server(200, found) as (url, asked):
        registry = ConfluentRegistry(url)
        assert [registry.id_of("request") for _ in range(2)] == [77, 77]
    (request,) = asked
    assert request.startswith("POST /subjects/inferwatch.requests-value")


def test_a_schema_is_fetched_once() -> None:
    """The writer's schema of an id is fetched and remembered."""
    schema = {"type": "record", "name": "r", "fields": []}
    with server(200, {"schema": json.dumps(schema)}) as (url, asked):
        registry = ConfluentRegistry(url)
        assert [registry.schema(5) for _ in range(2)] == [schema, schema]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "answer", "kind", "sentence"),
    [
        (
            404,
            {"error_code": 40403, "message": "no"},
            UnknownSchemaError,
            "does not know schema id 5",
        ),
        (500, {"error_code": 50001, "message": "down"}, RegistryUnavailableError, "HTTP 500: down"),
        (401, {"error_code": 401, "message": "who?"}, RegistryUnavailableError, "HTTP 401: who"),
        (503, b"<html>", RegistryUnavailableError, "HTTP 503"),
        (200, b"<html>", RegistryUnavailableError, "does not answer"),
        (
            200,
            {"schema": "{}", "schemaType": "JSON"},
            UnknownSchemaError,
            "Schema id 5 .* is JSON, not AVRO",
        ),
    ],
)
def test_each_answer_has_its_meaning(
    status: int, answer: Any, kind: type[SchemasError], sentence: str
) -> None:
    """Only a registry that answered "none" makes a schema unknown; all else may pass."""
    with server(status, answer) as (url, _), pytest.raises(kind, match=sentence):
        ConfluentRegistry(url).schema(5)


@pytest.mark.parametrize("status", [409, 422])
def test_a_refused_registration_has_the_reason(status: int) -> None:
    """An incompatible schema is refused with the registry's reason."""
    answer = {"error_code": status, "message": "READER_FIELD_MISSING_DEFAULT_VALUE"}
    with server(status, answer) as (url, _):
        registry = ConfluentRegistry(url)
        with pytest.raises(SchemaRefusedError, match=r"requests-value.*MISSING_DEFAULT"):
            registry.register(releases.latest("request"))


def test_nobody_there_is_unavailable() -> None:
    """A registry that is away may be asked again later, and is not an unknown schema."""
    with server(200, {}) as (url, _):
        pass
    with pytest.raises(RegistryUnavailableError, match="does not answer"):
        ConfluentRegistry(url).schema(5)


def test_a_defect_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect in a call is not told as a registry that is away."""
    registry = ConfluentRegistry("http://127.0.0.1:1")

    def defect(*_: object) -> None:
        raise TypeError

    monkeypatch.setattr(registry, "_client", type("Client", (), {"get_schema": defect})())
    with pytest.raises(TypeError):
        registry.schema(5)


def test_settings_that_cannot_be_are_told() -> None:
    """A URL that is none is a sentence."""
    with pytest.raises(SchemasError, match="Schema registry settings"):
        ConfluentRegistry("nowhere")
