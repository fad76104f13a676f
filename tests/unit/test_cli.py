"""The command line's frame: help, shared options, and how errors reach a person."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from inferwatch import main, options
from inferwatch.checks import GIB, Level, check_disk, clock
from inferwatch.deferred import Deferred, group_of
from inferwatch.main import COMMANDS, ERRORS, app, run
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.errors import SchemasError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import ConfluentRegistry, PinnedRegistry

HEAVY = (
    "aiokafka",
    "clickhouse_connect",
    "confluent_kafka",
    "faust",
    "numba",
    "numpy",
    "structlog",
)


def outcome(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int | str | None, str]:
    """Run the program as its entry point does; return exit code and standard error."""
    monkeypatch.setattr(sys, "argv", ["inferwatch", *arguments])
    with pytest.raises(SystemExit) as ended:
        run()
    code = ended.value.code
    err = capsys.readouterr().err
    # Python prints a text given to sys.exit to standard error and exits with 1.
    return (1, code) if isinstance(code, str) else (code, err)


def test_help_imports_no_driver() -> None:
    """The help of the whole program is quick, because it imports nothing heavy."""
    code = (
        "import sys; from typer.testing import CliRunner; from inferwatch.main import app; "
        "assert 'replay' in CliRunner().invoke(app, ['--help']).output; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603  # our own interpreter and constant code
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_loads_and_has_help(command: Deferred) -> None:
    """Each row of the table leads to a command, which explains itself."""
    result = CliRunner().invoke(app, [command.name, "--help"])
    assert result.exit_code == 0, result.output
    assert f"Usage: inferwatch {command.name}" in result.output


def test_the_help_lists_every_command() -> None:
    """The table's names and lines stand in the help."""
    shown = re.sub(r"\s+", " ", CliRunner().invoke(app, ["--help"]).output.replace("│", ""))
    for command in COMMANDS:
        assert f"{command.name} {command.about}" in shown


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the distribution's version and succeeds."""
    monkeypatch.setattr(sys, "argv", ["inferwatch", "--version"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 0
    assert re.fullmatch(r"inferwatch \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("topics", "nonsense"), ("topics", "list", "--nonsense"), ("query",)],
)
def test_wrong_usage_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """A command, option or argument that does not fit is told with the usage, exit code 2."""
    code, err = outcome(monkeypatch, capsys, *arguments)
    assert code == 2
    assert "Usage: inferwatch" in err


def with_command(monkeypatch: pytest.MonkeyPatch, function: Callable[[], None]) -> None:
    """Put a command in the place of all others."""
    failing = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    failing.command()(function)
    monkeypatch.setattr(main, "app", failing)


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[Exception]
) -> None:
    """A component's error is one line on standard error and exit code 1."""

    def fail() -> None:
        raise kind("Something is wrong; change it.")

    with_command(monkeypatch, fail)
    assert outcome(monkeypatch, capsys) == (1, "inferwatch: Something is wrong; change it.")


def test_a_package_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A host with the agent alone is told what a command needs; a module of ours is a defect."""
    monkeypatch.setitem(sys.modules, "clickhouse_connect", None)
    monkeypatch.delitem(sys.modules, "inferwatch_clickhouse.client", raising=False)
    monkeypatch.delitem(sys.modules, "inferwatch.commands.query", raising=False)
    said = (
        "inferwatch: query needs clickhouse_connect, which is not installed; "
        "run: pip install 'inferwatch[cli]'"
    )
    assert outcome(monkeypatch, capsys, "query", "SELECT 1") == (1, said)
    with pytest.raises(ModuleNotFoundError):
        Deferred("x", "Run", "", "inferwatch.commands.no_such:x").load()


def test_interruption_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends the program with 130 and without a traceback."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    with_command(monkeypatch, interrupted)
    code, err = outcome(monkeypatch, capsys)
    assert code == 130
    assert "Traceback" not in err


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no component raises knowingly is not made a sentence."""

    def defect() -> None:
        raise ZeroDivisionError

    with_command(monkeypatch, defect)
    monkeypatch.setattr(sys, "argv", ["inferwatch"])
    with pytest.raises(ZeroDivisionError):
        run()


def test_a_deferred_module_that_is_missing_is_not_hidden() -> None:
    """A command whose module cannot be imported fails as what it is: a defect."""
    broken = typer.Typer(
        cls=group_of(Deferred("gone", "Run", "Gone.", "inferwatch.commands.no_such_module:gone"))
    )
    broken.callback()(lambda: None)
    result = CliRunner().invoke(broken, ["gone"])
    assert isinstance(result.exception, ModuleNotFoundError)


def given(*arguments: str, env: dict[str, str] | None = None) -> dict[str, object]:
    """Return what a command with all shared options is called with."""
    got: dict[str, object] = {}
    program = typer.Typer(pretty_exceptions_enable=False)

    @program.command()
    @options.expanded
    def command(  # noqa: PLR0913  # an option is a parameter
        *,
        name: Annotated[str, typer.Argument()] = "none",
        kafka: options.Kafka,
        registry: options.SchemaRegistry,
        clickhouse: options.ClickHouseIfNamed,
        data: options.DataDir = None,
        fast: bool = False,
    ) -> None:
        got.update(
            name=name, kafka=kafka, registry=registry, clickhouse=clickhouse, data=data, fast=fast
        )

    result = CliRunner().invoke(program, arguments, env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return got


def test_options_have_defaults() -> None:
    """Without options a command gets the local broker, pinned ids and no ClickHouse."""
    got = given()
    assert got["kafka"] == KafkaSettings()
    assert isinstance(got["registry"], PinnedRegistry)
    assert got["clickhouse"] is None
    assert (got["name"], got["fast"], got["data"]) == ("none", False, None)


def test_options_become_settings() -> None:
    """Options are put together to the settings of each component."""
    got = given(
        "me", "--fast", "--data", "kept",
        "--bootstrap-servers", "a:1,b:2", "--security-protocol", "SASL_SSL",
        "--sasl-mechanism", "PLAIN", "--sasl-username", "u", "--sasl-password", "p",
        "--registry", "http://r", "--clickhouse-url", "http://c:1", "--clickhouse-user", "v",
        "--clickhouse-password", "q", "--clickhouse-database", "d",
    )  # fmt: skip
    assert got["kafka"] == KafkaSettings("a:1,b:2", "SASL_SSL", "PLAIN", "u", "p")
    assert isinstance(got["registry"], ConfluentRegistry)
    assert got["registry"].url == "http://r"
    assert got["clickhouse"] == ClickHouseSettings("http://c:1", "d", "v", "q")
    assert (got["name"], got["fast"], got["data"]) == ("me", True, Path("kept"))


def test_variables_stand_for_options() -> None:
    """What a component writes to an environment, the options read back."""
    kafka = KafkaSettings("a:1", "SASL_PLAINTEXT", "SCRAM-SHA-256", "u", "p")
    clickhouse = ClickHouseSettings("http://c:1", "d", "v", "q")
    got = given(
        env={
            **kafka.to_environment(),
            **clickhouse.to_environment(),
            "INFERWATCH_REGISTRY_URL": "http://r",
            "INFERWATCH_DATA": "kept",
        }
    )
    assert (got["kafka"], got["clickhouse"], got["data"]) == (kafka, clickhouse, Path("kept"))
    assert isinstance(got["registry"], ConfluentRegistry)


def test_a_setting_that_cannot_be_is_an_error() -> None:
    """Settings that do not fit together are the component's error, told as every other."""
    with pytest.raises(SchemasError, match="SASL needs both"):
        given("--security-protocol", "SASL_SSL", "--sasl-mechanism", "PLAIN")


def test_data_directory_follows_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The default is below XDG_DATA_HOME where that is absolute, else below the home."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert options.default_data_dir() == tmp_path / "data" / "inferwatch"
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert options.default_data_dir() == tmp_path / ".local" / "share" / "inferwatch"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert options.default_data_dir() == tmp_path / "Library/Application Support/inferwatch"


@pytest.mark.parametrize(
    ("theirs", "level"),
    [(100.0, Level.OK), (100.4, Level.OK), (98.9, Level.WARNING), (101.6, Level.WARNING)],
)
def test_clocks_may_differ_by_a_second(theirs: float, level: Level) -> None:
    """More than a second beyond what the request took is a warning."""
    assert clock(theirs, 100.0, 100.5).level is level


@pytest.mark.parametrize(
    ("free", "level"), [(5 * GIB, Level.OK), (4 * GIB, Level.WARNING), (GIB // 2, Level.PROBLEM)]
)
def test_little_room_is_told(tmp_path: Path, free: int, level: Level) -> None:
    """Little room is a warning, hardly any a problem, and the folder need not exist."""
    asked = []

    def measure(path: Path) -> int:
        asked.append(path)
        return free

    assert check_disk(tmp_path / "not" / "there", measure).level is level
    assert asked == [tmp_path]
