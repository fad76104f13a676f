"""``inferwatch schemas``: checking a folder, and registering with a real registry."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from inferwatch.embedded.apicurio import Apicurio
from inferwatch.embedded.errors import MissingProgramError
from inferwatch.embedded.java import find_java
from inferwatch.main import app
from inferwatch_schemas import releases
from inferwatch_schemas.errors import (
    RegistryUnavailableError,
    SchemaRefusedError,
    UnknownSchemaError,
)
from inferwatch_schemas.registry import ConfluentRegistry
from inferwatch_schemas.topics import TOPICS
from inferwatch_schemas.wire import Encoder, decode

EXPOSURE = {
    "event_id": "e1",
    "producer_id": "p",
    "sequence": 0,
    "event_time": 1,
    "service_name": "s",
    "deployment_environment_name": "test",
    "experiment": "x",
    "variant": "a",
    "user_id": "u",
    "trace_id": None,
}


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["schemas", *arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the schemas that may be broken."""
    return Path(shutil.copytree(str(releases.AVRO), tmp_path / "avro"))


def test_our_schemas_pass() -> None:
    """The check of what this version ships succeeds and says how much it looked at."""
    result = run("check")
    assert result.exit_code == 0, result.output
    names, pinned = len(releases.current_names()), len(releases.releases())
    assert result.stdout == f"{names} schemas, {pinned} releases: compatible and readable.\n"


def test_a_change_is_checked_and_released(folder: Path) -> None:
    """A changed schema fails the check until it is released, and a broken one is refused."""
    path = folder / "exposure.avsc"
    schema = json.loads(path.read_text())
    schema["fields"].append({"name": "extra", "type": ["null", "string"], "default": None})
    path.write_text(json.dumps(schema))
    stale = run("check", "--folder", str(folder))
    assert stale.exit_code == 1
    assert "run inferwatch schemas release exposure" in stale.stdout
    released = run("release", "exposure", "--folder", str(folder))
    assert released.exit_code == 0, released.output
    assert released.stdout.endswith(f"exposure.2.avsc with id {releases.releases()[-1].id + 1}.\n")
    assert run("check", "--folder", str(folder)).exit_code == 0

    schema["fields"][0]["type"] = "long"
    path.write_text(json.dumps(schema))
    refused = run("check", "--folder", str(folder))
    assert isinstance(refused.exception, SchemaRefusedError)
    assert refused.stdout.count("exposure.event_id changes its type") == 2


def test_a_registry_that_is_away_is_told() -> None:
    """Registering without a registry is one sentence with its address."""
    result = run("register", "--registry", "http://127.0.0.1:1")
    assert isinstance(result.exception, RegistryUnavailableError)
    assert "http://127.0.0.1:1 does not answer" in str(result.exception)


@pytest.fixture(scope="module")
def registry_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a running registry, where Java is new enough."""
    try:
        find_java(21)
    except MissingProgramError as error:
        pytest.skip(str(error))
    with Apicurio(tmp_path_factory.mktemp("apicurio")) as registry:
        yield registry.url


@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_a_real_registry_takes_and_refuses(registry_url: str) -> None:
    """Registering twice gives the same ids; events read back; an incompatible schema is refused."""
    registry = ConfluentRegistry(registry_url)
    with pytest.raises(UnknownSchemaError, match="inferwatch schemas register"):
        Encoder("exposure", registry)

    first = run("register", "--registry", registry_url)
    assert first.exit_code == 0, first.output
    assert len(first.stdout.splitlines()) == len(releases.releases())
    second = run("register", "--registry", registry_url)
    assert second.stdout == first.stdout

    for topic in TOPICS:
        for name in topic.schemas:
            assert registry.schema(registry.id_of(name)) == releases.latest(name).schema
    encoder = Encoder("exposure", registry)
    value = encoder.encode(EXPOSURE)
    assert value[1:5] == registry.id_of("exposure").to_bytes(4, "big")
    assert decode(value, ConfluentRegistry(registry_url))["event_id"] == "e1"
    with pytest.raises(UnknownSchemaError, match="schema id 999999"):
        registry.schema(999_999)

    latest = releases.latest("exposure")
    schema = json.loads(latest.text)
    schema["fields"].append({"name": "extra", "type": "string"})
    with pytest.raises(SchemaRefusedError, match=r"refuses subject 'inferwatch\.exposures-value'"):
        registry.register(replace(latest, version=2, text=json.dumps(schema)))
    schema["fields"][-1].update(type=["null", "string"], default=None)
    wider = registry.register(replace(latest, version=2, text=json.dumps(schema)))
    assert wider != registry.id_of("exposure")
