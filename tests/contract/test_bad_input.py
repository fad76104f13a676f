"""Bad input to the commands: one sentence on standard error, a status, and no traceback."""

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pipeline import PROGRAM, Stack, environment

from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.processes import LOOPBACK
from inferwatch_schemas.kafka import KafkaSettings

NOBODY = f"{LOOPBACK}:1"
TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,7,1\n"


def complaint(stack: Stack, *arguments: str | Path) -> str:
    """What a command that must fail says: one line, its name in front."""
    done = subprocess.run(  # noqa: S603 -- our own program, no shell
        [*PROGRAM, *map(str, arguments)],
        env=environment(stack.kafka, stack.clickhouse),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert done.stderr.startswith("inferwatch: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A good trace of one row."""
    path = tmp_path / "code.csv"
    path.write_text(TRACE)
    return path


@pytest.fixture
def used_port() -> Iterator[int]:
    """Yield a port that something listens on."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_an_unknown_trace_format(stack: Stack, trace: Path) -> None:
    """The known formats are named."""
    assert "no trace format 'azure'; known are azure_llm_2023" in complaint(
        stack, "replay", "azure", trace
    )


def test_a_missing_trace(stack: Stack, tmp_path: Path) -> None:
    """The file is named."""
    path = tmp_path / "absent.csv"
    assert f"{path} cannot be read" in complaint(stack, "replay", "azure_llm_2023", path)


def test_a_malformed_row(stack: Stack, trace: Path) -> None:
    """The line is named."""
    trace.write_text(TRACE + "2023-11-16 18:17:04,many,1\n")
    assert "code.csv, line 3: ContextTokens is 'many'" in complaint(
        stack, "replay", "azure_llm_2023", trace
    )


def test_no_broker(stack: Stack) -> None:
    """The address is named."""
    elsewhere = replace(stack, kafka=KafkaSettings(NOBODY))
    assert NOBODY in complaint(elsewhere, "worker")


@pytest.mark.parametrize("command", [["worker"], ["query", "SELECT 1"]])
def test_no_clickhouse(stack: Stack, command: list[str]) -> None:
    """The address is named, and the option to change it."""
    url = f"http://{NOBODY}"
    elsewhere = replace(stack, clickhouse=replace(stack.clickhouse, url=url))
    said = complaint(elsewhere, *command)
    assert f"{url} does not answer" in said
    assert "--clickhouse-url" in said


@pytest.mark.parametrize("arguments", [["worker"], ["schemas", "register"]])
def test_no_schema_registry(stack: Stack, arguments: list[str]) -> None:
    """The address is named."""
    assert f"http://{NOBODY} does not answer" in complaint(
        stack, *arguments, "--registry", f"http://{NOBODY}"
    )


def test_a_port_in_use(stack: Stack, used_port: int) -> None:
    """The port is named, and the option to choose another."""
    said = complaint(stack, "worker", "--metrics-port", str(used_port))
    assert f"{LOOPBACK}:{used_port}" in said
    assert "--metrics-port" in said


def test_missing_topics(stack: Stack, tmp_path: Path) -> None:
    """The topics are named, and the command that creates them."""
    with EmbeddedBroker(tmp_path) as empty:
        elsewhere = replace(stack, kafka=KafkaSettings(empty.bootstrap_servers))
        said = complaint(elsewhere, "worker")
    assert "inferwatch.requests" in said
    assert "run: inferwatch topics create" in said


def test_a_database_that_was_not_migrated(stack: Stack) -> None:
    """The database is named, and the command that migrates it."""
    elsewhere = replace(stack, clickhouse=replace(stack.clickhouse, database="fresh"))
    said = complaint(elsewhere, "worker")
    assert "'fresh'" in said
    assert "run: inferwatch migrate" in said
