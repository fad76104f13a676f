"""``inferwatch doctor``: it finds what is missing, says what to change, and is content after."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from inferwatch import checks
from inferwatch.checks import Level
from inferwatch.embedded.broker import EmbeddedBroker
from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch.main import app
from inferwatch_clickhouse.settings import ClickHouseSettings

NOWHERE = {
    "INFERWATCH_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "INFERWATCH_CLICKHOUSE_URL": "http://127.0.0.1:1",
    "INFERWATCH_REGISTRY_URL": "http://127.0.0.1:1",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Yield the variables that lead to a broker and a ClickHouse with nothing in them."""
    folder = tmp_path_factory.mktemp("stack")
    with EmbeddedBroker(folder) as broker, EmbeddedClickHouse(folder / "data", folder) as house:
        yield {
            "INFERWATCH_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "INFERWATCH_CLICKHOUSE_URL": house.url,
        }


def run(variables: dict[str, str], *arguments: str) -> Result:
    """Run the program with variables."""
    return CliRunner().invoke(app, [*arguments], env=variables)


def found(result: Result) -> set[tuple[str, str]]:
    """Return level and check of each finding; the lines with advice are indented."""
    lines = [line.split() for line in result.stdout.splitlines() if not line.startswith(" ")]
    return {(words[0], words[1]) for words in lines}


def test_nothing_there_is_told(tmp_path: Path) -> None:
    """Without broker, registry and ClickHouse each is a problem, and the rest is still checked."""
    result = run(NOWHERE, "doctor", "--data", str(tmp_path))
    assert result.exit_code == 1, result.output
    assert {("problem", "Kafka"), ("problem", "registry"), ("problem", "ClickHouse")} <= found(
        result
    )
    assert {("ok", "packages"), ("ok", "codecs"), ("ok", "compiler")} <= found(result)
    assert result.stdout.count("127.0.0.1:1") >= 3


def test_what_it_advises_helps(stack: dict[str, str], tmp_path: Path) -> None:
    """An empty stack lacks topics and tables; after the advised commands nothing is a problem."""
    empty = run(stack, "doctor", "--data", str(tmp_path))
    assert empty.exit_code == 1
    problems = {what for level, what in found(empty) if level == "problem"}
    assert problems == {"topics", "tables"}
    for advised in ("inferwatch topics create", "inferwatch migrate"):
        assert f"Run: {advised}" in empty.stdout
        assert run(stack, *advised.split()[1:]).exit_code == 0
    content = run(stack, "doctor", "--data", str(tmp_path))
    assert content.exit_code == 0, content.output
    assert {level for level, what in found(content) if what != "disk"} == {"ok"}


def test_a_clock_that_is_wrong_is_a_warning(stack: dict[str, str]) -> None:
    """A machine whose clock is an hour off is told by how much."""
    settings = ClickHouseSettings(stack["INFERWATCH_CLICKHOUSE_URL"])
    findings = checks.check_clickhouse(settings, now=lambda: 3600.0)
    (skewed,) = [finding for finding in findings if finding.what == "clock"]
    assert skewed.level is Level.WARNING
    assert "differ by" in skewed.found
