"""A real schema registry: what Confluent's client needs of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from inferwatch.embedded.apicurio import Apicurio
from inferwatch.embedded.errors import MissingProgramError, PortInUseError
from inferwatch.embedded.java import find_java

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def record(**fields: str | list[str]) -> Schema:
    """Return the Avro schema of a record with the given fields."""
    described = [{"name": name, "type": kind} for name, kind in fields.items()]
    return Schema(json.dumps({"type": "record", "name": "R", "fields": described}), "AVRO")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    """A running registry, where Java is new enough."""
    try:
        find_java(21)
    except MissingProgramError as error:
        pytest.skip(str(error))
    with Apicurio(tmp_path_factory.mktemp("apicurio")) as server:
        yield server


def test_compatible_versions_are_registered_and_others_refused(registry: Apicurio) -> None:
    """A nullable field may be added; a field's type may not change."""
    with SchemaRegistryClient({"url": registry.url}) as client:
        first = client.register_schema("a-value", record(x="long"))
        assert client.register_schema("a-value", record(x="long")) == first
        with pytest.raises(SchemaRegistryError) as refused:
            client.register_schema("a-value", record(x="string"))
        assert refused.value.http_status_code == 409
        wider = {
            "type": "record",
            "name": "R",
            "fields": [
                {"name": "x", "type": "long"},
                {"name": "y", "type": ["null", "long"], "default": None},
            ],
        }
        second = client.register_schema("a-value", Schema(json.dumps(wider), "AVRO"))
        assert second != first
        assert json.loads(client.get_schema(second).schema_str) == wider
        assert client.get_versions("a-value") == [1, 2]
        assert client.lookup_schema("a-value", record(x="long")).version == 1


def test_a_port_in_use_is_one_sentence(registry: Apicurio, tmp_path: Path) -> None:
    """The message names the port."""
    port = int(registry.url.split(":")[2].split("/")[0])
    with pytest.raises(PortInUseError, match=str(port)):
        Apicurio(tmp_path, port=port).start()
