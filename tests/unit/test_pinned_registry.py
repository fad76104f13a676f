"""The pinned registry, as Confluent's own clients see it."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from inferwatch.embedded.errors import PortInUseError
from inferwatch.embedded.pinned_catalogue import PinnedCatalogue, PinnedSchema
from inferwatch.embedded.pinned_registry import PinnedRegistryServer

SUBJECT = "shop.orders-value"
CONTEXT = SerializationContext("shop.orders", MessageField.VALUE)


def record(*names: str, **extra: Any) -> str:
    """Return the Avro schema of a record of nullable longs."""
    fields = [{"name": name, "type": ["null", "long"], "default": None} for name in names]
    return json.dumps({"type": "record", "name": "shop.Order", "fields": fields, **extra})


FIRST = PinnedSchema(id=7, subject=SUBJECT, version=1, schema=record("a"))
SECOND = PinnedSchema(id=9, subject=SUBJECT, version=2, schema=record("a", "b"))
OTHER = PinnedSchema(id=11, subject="a/b c-value", version=1, schema='"string"')


@pytest.fixture(scope="module")
def registry() -> Iterator[PinnedRegistryServer]:
    """A running registry of three schemas, given out of order."""
    with PinnedRegistryServer((SECOND, OTHER, FIRST)) as server:
        yield server


@pytest.fixture
def client(registry: PinnedRegistryServer) -> Iterator[SchemaRegistryClient]:
    """Confluent's client, with an empty cache."""
    with SchemaRegistryClient({"url": registry.url, "max.retries": 0}) as connected:
        yield connected


def test_everything_pinned_can_be_read(client: SchemaRegistryClient) -> None:
    """Subjects, versions, ids and schemas come back as they were given."""
    assert client.get_subjects() == [OTHER.subject, SUBJECT]
    assert client.get_versions(SUBJECT) == [1, 2]
    assert client.get_schema(9).schema_str == SECOND.schema
    first = client.get_version(SUBJECT, 1)
    assert (first.schema_id, first.version, first.schema.schema_str) == (7, 1, FIRST.schema)
    latest = client.get_latest_version(SUBJECT)
    assert (latest.schema_id, latest.version) == (9, 2)
    assert client.get_latest_version(OTHER.subject).schema_id == 11


def test_a_pinned_schema_is_looked_up_and_registered_to_its_id(
    client: SchemaRegistryClient,
) -> None:
    """Registering what is there already returns its id, as a real registry does."""
    assert client.lookup_schema(SUBJECT, Schema(FIRST.schema, "AVRO")).version == 1
    assert client.register_schema(SUBJECT, Schema(SECOND.schema, "AVRO")) == 9


def test_another_spelling_of_a_schema_is_the_same_schema(client: SchemaRegistryClient) -> None:
    """Namespaces apart from names, documentation and wordy primitives change no byte written."""
    spelt = json.loads(record("a", doc="an order"))
    spelt["name"], spelt["namespace"] = "Order", "shop"
    spelt["fields"][0]["type"] = ["null", {"type": "long"}]
    assert client.register_schema(SUBJECT, Schema(json.dumps(spelt), "AVRO")) == 7


@pytest.mark.parametrize("register", [False, True])
def test_confluents_serializer_works(client: SchemaRegistryClient, register: bool) -> None:  # noqa: FBT001 -- pytest's parameter
    """A record comes back, with the pinned id in its header, registered first or not."""
    serializer = AvroSerializer(client, SECOND.schema, conf={"auto.register.schemas": register})
    payload = serializer({"a": 1, "b": None}, CONTEXT)
    assert payload is not None
    assert payload[:5] == b"\x00" + (9).to_bytes(4, "big")
    assert AvroDeserializer(client)(payload, CONTEXT) == {"a": 1, "b": None}


@pytest.mark.parametrize("register", [False, True])
def test_an_unpinned_schema_cannot_be_written(
    client: SchemaRegistryClient,
    register: bool,  # noqa: FBT001 -- pytest's parameter
) -> None:
    """The serializer is told so by a lookup that finds nothing or by a refused registration."""
    serializer = AvroSerializer(client, record("c"), conf={"auto.register.schemas": register})
    with pytest.raises((SchemaRegistryError, SerializationError), match=r"not found|read-only"):
        serializer({"c": 1}, CONTEXT)


@pytest.mark.parametrize(
    ("request_line", "body", "refusal"),
    [
        ("GET /schemas/ids/8", None, (404, 40403)),
        ("GET /schemas/ids/x", None, (404, 40403)),
        ("GET /subjects/absent/versions", None, (404, 40401)),
        ("GET /subjects/absent/versions/latest", None, (404, 40401)),
        (f"GET /subjects/{SUBJECT}/versions/3", None, (404, 40402)),
        (f"GET /subjects/{SUBJECT}/versions/0", None, (422, 42202)),
        (f"GET /subjects/{SUBJECT}/versions/two", None, (422, 42202)),
        ("GET /nothing", None, (404, 404)),
        ("POST /subjects/absent", {"schema": '"string"'}, (404, 40401)),
        (f"POST /subjects/{SUBJECT}", {"schema": '"string"'}, (404, 40403)),
        ("POST /subjects/absent/versions", {"schema": '"string"'}, (422, 42205)),
        (f"POST /subjects/{SUBJECT}/versions", {"schema": "{"}, (422, 42201)),
        (f"POST /subjects/{SUBJECT}/versions", {"schema": '{"type": "x"}'}, (422, 42201)),
        (f"POST /subjects/{SUBJECT}/versions", {"schema": '{"type": "record"}'}, (422, 42201)),
        (f"POST /subjects/{SUBJECT}/versions", {"schema": "5"}, (422, 42201)),
        (f"POST /subjects/{SUBJECT}/versions", {"schema": 5}, (422, 42201)),
        (f"POST /subjects/{SUBJECT}/versions", [], (422, 42201)),
        (
            f"POST /subjects/{SUBJECT}/versions",
            {"schema": "{}", "schemaType": "JSON"},
            (422, 42201),
        ),
        ("PUT /config", {"compatibility": "NONE"}, (422, 42205)),
        (f"DELETE /subjects/{SUBJECT}", None, (422, 42205)),
    ],
)
def test_what_cannot_be_is_refused_as_confluents_registry_does(
    registry: PinnedRegistryServer, request_line: str, body: Any, refusal: tuple[int, int]
) -> None:
    """Each refusal has Confluent's status and error code, and the connection stays usable."""
    connection = http.client.HTTPConnection(urlsplit(registry.url).netloc, timeout=5)
    connection.request(*request_line.split(), None if body is None else json.dumps(body))
    response = connection.getresponse()
    answer = json.loads(response.read())
    assert (response.status, answer["error_code"]) == refusal
    assert answer["message"]
    connection.request("GET", "/config")
    assert json.loads(connection.getresponse().read()) == {"compatibilityLevel": "BACKWARD"}
    connection.close()


def test_ids_lead_back_to_subjects() -> None:
    """An id's subject and version are answered, also for a subject that needs quoting."""
    catalogue = PinnedCatalogue((FIRST, SECOND, OTHER))
    assert catalogue.answer("GET", "/schemas/ids/9/versions?deleted=false")[1] == [
        {"subject": SUBJECT, "version": 2}
    ]
    assert catalogue.answer("GET", "/subjects/a%2Fb%20c-value/versions")[1] == [1]
    assert catalogue.answer("GET", "/mode/")[1] == {"mode": "READONLY"}


@pytest.mark.parametrize("length", ["-1", "many", "99999999999"])
def test_a_body_of_no_sensible_length_is_refused(
    registry: PinnedRegistryServer, length: str
) -> None:
    """The body is not read and the connection is closed."""
    with socket.create_connection(
        ("127.0.0.1", urlsplit(registry.url).port or 0), timeout=5
    ) as raw:
        raw.sendall(f"POST /subjects/x HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_an_answer_leaves_in_one_segment(registry: PinnedRegistryServer) -> None:
    """Headers and body arrive together, so that no delayed acknowledgement holds an answer up."""
    with socket.create_connection(
        ("127.0.0.1", urlsplit(registry.url).port or 0), timeout=5
    ) as raw:
        raw.sendall(b"GET /schemas/ids/7 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(65536).endswith(b"}")


def test_a_port_in_use_is_one_sentence(registry: PinnedRegistryServer) -> None:
    """The message names the port."""
    port = urlsplit(registry.url).port
    with pytest.raises(PortInUseError, match=str(port)):
        PinnedRegistryServer((), port).start()


def test_a_stopped_registry_answers_no_more() -> None:
    """After stop the port is free again, and stopping twice is allowed."""
    server = PinnedRegistryServer((FIRST,))
    server.start()
    port = urlsplit(server.url).port or 0
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
