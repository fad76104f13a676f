"""``inferwatch query``: against the configured ClickHouse, and against what a demo kept."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from inferwatch.commands.migrate import migrate
from inferwatch.commands.query import query
from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch.embedded.errors import EmbeddedError
from inferwatch_clickhouse.errors import ClickHouseError

Ask = Callable[..., Result]


@pytest.fixture
def ask() -> Ask:
    """Return a way to run ``query`` and ``migrate`` as a shell would."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(query)
    app.command()(migrate)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return the folder of a demo that has ended."""
    with EmbeddedClickHouse(tmp_path / "clickhouse", tmp_path / "logs") as server:
        _migrated(server.url)
    return tmp_path


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a migrated ClickHouse."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with EmbeddedClickHouse(folder / "data", folder) as server:
        _migrated(server.url)
        yield server.url


def _migrated(url: str) -> None:
    app = typer.Typer()
    app.command()(migrate)
    assert CliRunner().invoke(app, ["--clickhouse-url", url]).exit_code == 0


def test_a_table_is_aligned_and_plain_without_a_terminal(ask: Ask, url: str) -> None:
    """Numbers stand to the right, floats in six digits, NULL as such, one line a row."""
    sql = (
        "SELECT number AS n, if(n = 1, NULL, 1 / 3) AS third, 'a|b' AS text, repeat('x', 200) AS y"
        " FROM numbers(9, 3);"
    )
    answer = ask("query", sql, "--clickhouse-url", url)
    assert answer.exit_code == 0
    lines = answer.stdout.splitlines()
    assert lines[0].split() == ["n", "third", "text", "y"]
    assert lines[1].startswith(" 9  0.333333  a|b   xxx")
    assert lines[2].startswith("10  0.333333  a|b   xxx")
    assert len(lines) == 4
    assert "NULL" in ask("query", "SELECT NULL", "--clickhouse-url", url).stdout


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "tsv", "markdown", "XML", "Parquet"])
def test_other_formats_are_clickhouse_s_own(ask: Ask, url: str, kind: str) -> None:
    """What ClickHouse writes in a format arrives byte for byte, with every digit."""
    answer = ask("query", "SELECT 1 / 3 AS x", "--format", kind, "--clickhouse-url", url)
    assert answer.exit_code == 0
    found = {
        "csv": lambda: next(csv.DictReader(io.StringIO(answer.stdout)))["x"],
        "json": lambda: str(json.loads(answer.stdout)["data"][0]["x"]),
        "jsonl": lambda: str(json.loads(answer.stdout)["x"]),
    }.get(kind)
    if found:
        assert found() == "0.3333333333333333"
    elif kind == "Parquet":
        assert answer.stdout_bytes.startswith(b"PAR1")
        assert answer.stdout_bytes.endswith(b"PAR1")
    else:
        assert "0.3333333333333333" in answer.stdout


def test_a_format_in_the_statement_is_kept(ask: Ask, url: str) -> None:
    """Whoever writes FORMAT into the SQL gets that."""
    answer = ask("query", "SELECT 1 AS x FORMAT JSONEachRow", "--clickhouse-url", url)
    assert answer.stdout == '{"x":1}\n'


def test_statements_without_an_answer(ask: Ask, url: str) -> None:
    """Tables can be made and filled too; nothing is printed."""
    for sql in ("CREATE TABLE mine (x Int8) ENGINE = Memory", "INSERT INTO mine VALUES (1)"):
        answer = ask("query", sql, "--clickhouse-url", url)
        assert (answer.exit_code, answer.stdout) == (0, "")
    counted = ask("query", "SELECT count() FROM mine", "-f", "TSV", "--clickhouse-url", url)
    assert counted.stdout == "1\n"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT nope FROM requests_1m", "refuses (code 47): Unknown expression identifier"),
        ("SELECT (", "refuses (code 62): Syntax error"),
        ("SELECT throwIf(number = 200000) FROM numbers(300000)", "refuses (code 395)"),
    ],
)
@pytest.mark.parametrize("kind", ["table", "csv"])
def test_an_error_of_sql_is_one_line(ask: Ask, url: str, sql: str, message: str, kind: str) -> None:
    """ClickHouse's first line, also when the answer had already begun."""
    answer = ask("query", sql, "-f", kind, "--clickhouse-url", url)
    assert isinstance(answer.exception, ClickHouseError)
    assert message in str(answer.exception)
    assert "\n" not in str(answer.exception)
    assert answer.stdout == ""


def test_wrong_usage_is_refused_before_anything_is_asked(ask: Ask) -> None:
    """An empty statement and a format that is no name end with the status of wrong usage."""
    assert ask("query", " ; ").exit_code == 2
    assert ask("query", "SELECT 1", "-f", "a b").exit_code == 2


def test_clickhouse_that_is_away_is_named(ask: Ask) -> None:
    """The message says which address did not answer."""
    answer = ask("query", "SELECT 1", "--clickhouse-url", "http://127.0.0.1:1")
    assert isinstance(answer.exception, ClickHouseError)
    assert "http://127.0.0.1:1 does not answer" in str(answer.exception)


def test_what_a_demo_kept_is_asked_after_its_end(ask: Ask, kept: Path) -> None:
    """The kept data is served for the time of the query, and is free again afterwards."""
    for _ in range(2):
        answer = ask("query", "SELECT count() FROM requests_1m", "-f", "csv", "--data", kept)
        assert answer.stdout == '"count()"\n0\n'


def test_what_a_demo_keeps_is_asked_while_it_runs(ask: Ask, kept: Path) -> None:
    """The demo's own ClickHouse answers, because only one process may open the folder."""
    with EmbeddedClickHouse(kept / "clickhouse", kept / "logs") as server:
        endpoints = {"clickhouse_url": server.url, "pid": os.getpid()}
        (kept / "endpoints.json").write_text(json.dumps(endpoints), encoding="utf-8")
        answer = ask("query", "SELECT 1 AS x", "-f", "TSV", "--data", kept)
        assert answer.stdout == "1\n"


@pytest.mark.parametrize("left", ["ended", "unreachable", "damaged"])
def test_endpoints_that_a_demo_left_behind_do_not_mislead(ask: Ask, kept: Path, left: str) -> None:
    """A demo that was killed leaves its file; the folder is then opened as after a proper end."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    pid = ended.pid if left == "ended" else os.getpid()
    text = json.dumps({"clickhouse_url": "http://127.0.0.1:1", "pid": pid})
    (kept / "endpoints.json").write_text("{" if left == "damaged" else text, encoding="utf-8")
    assert ask("query", "SELECT 1 AS x", "-f", "TSV", "--data", kept).stdout == "1\n"


def test_a_folder_in_use_that_cannot_be_reached_is_said(ask: Ask, kept: Path) -> None:
    """Without endpoints, a folder that another process has open is refused with the reason."""
    with EmbeddedClickHouse(kept / "clickhouse", kept / "logs"):
        answer = ask("query", "SELECT 1", "--data", kept)
    assert isinstance(answer.exception, EmbeddedError)
    assert "is in use by another" in str(answer.exception)


def test_a_folder_without_a_demo_s_data_is_left_alone(ask: Ask, tmp_path: Path) -> None:
    """Nothing is created in a folder that was named by mistake."""
    answer = ask("query", "SELECT 1", "--data", tmp_path)
    assert isinstance(answer.exception, EmbeddedError)
    assert "holds no data of a demo" in str(answer.exception)
    assert list(tmp_path.iterdir()) == []


def test_migrate_says_what_it_did(ask: Ask, url: str) -> None:
    """A second run changes nothing and says so."""
    where = ("--clickhouse-url", url, "--clickhouse-database", "another")
    first = ask("migrate", *where)
    assert first.stdout.startswith("applied 0001_source_events.sql\n")
    assert ask("migrate", *where).stdout == "Database another is up to date.\n"
