"""Compiling before anything waits for it: nothing is left out, and it never keeps a worker down."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from numba.core import caching, config
from structlog.testing import capture_logs
from typer.testing import CliRunner

from inferwatch.commands import worker
from inferwatch.main import app
from inferwatch_clickhouse.sink import factory as sink
from inferwatch_schemas.columnar import compiling, warm_up
from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import TOPICS, Topic
from inferwatch_schemas.wire import decode
from inferwatch_streams import factory as aggregation
from inferwatch_streams.incidents import factory as incidents
from inferwatch_streams.notifications import factory as notifications
from inferwatch_streams.rules_worker import factory as rules

LIMIT_SECONDS = 20


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Compiled functions of a test's own, in place of ours."""
    own: list[Any] = []
    monkeypatch.setattr(compiling, "FUNCTIONS", own)
    return own


def test_chunks_of_any_kind_find_everything_compiled() -> None:
    """Once an app of Faust's command has been imported, no chunk makes anything be compiled."""
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, Path(__file__).with_name("whole_way.py")],
        env={name: value for name, value in os.environ.items() if "INFERWATCH" not in name},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert {role: found["new"] for role, found in told.items()} == {"aggregation": [], "sink": []}
    for found in told.values():
        assert found["started"]
        assert min(found["rows"], found["letters"]) > 0


@pytest.mark.parametrize(
    ("options", "count"),
    [([], 5), (["--only=aggregation"], 1), (["--only=sink", "--only=rules", "--only=sink"], 2)],
)
def test_a_worker_compiles_before_it_joins(
    monkeypatch: pytest.MonkeyPatch, options: list[str], count: int
) -> None:
    """What its roles need is rehearsed after the checks, and before the apps run."""
    done: list[Any] = []

    def noted(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            done.append((name, *(len(a) for a in arguments if isinstance(a, list))))
            return SimpleNamespace(watchdog=None)

        return call

    for module, name in (
        (worker, "check_topics"), (worker, "check_connects"), (worker, "check_migrated"),
        (aggregation, "create_app"), (sink, "create_app"), (rules, "create_app"),
        (incidents, "create_app"), (notifications, "create_app"),
        (worker, "_warm_up"), (worker, "_run"),
        (worker, "write_log"), (worker, "keep_freed_memory"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, noted(name))
    result = CliRunner().invoke(app, ["worker", *options], env={"INFERWATCH_METRICS_PORT": None})
    assert result.exit_code == 0, result.output
    assert done[-2:] == [("_warm_up", count), ("_run", count)]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_examples_have_every_field(topic: Topic) -> None:
    """A made-up value of each of the topic's schemas can be read, and leaves no field out."""
    records = [decode(value, PinnedRegistry()) for value in example_values(topic, 2)]
    assert len(records) == 2 * len(topic.schemas)
    for record in records:
        assert all(value not in (None, []) for value in record.values())


def doubled(number: int) -> int:
    """What is compiled here."""
    return 2 * number


def test_what_is_quick_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing need be compiled, a start says nothing."""
    monkeypatch.setattr(warm_up, "TELL_SECONDS", LIMIT_SECONDS)
    with capture_logs() as said:
        warm_up.warm_up(lambda: None, lambda: None)
    assert said == []


def test_what_is_only_loaded_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor where a slow machine takes as long to load what was compiled before."""
    asked: list[bool] = []

    def has_begun() -> bool:
        asked.append(True)
        return False

    monkeypatch.setattr(warm_up, "TELL_SECONDS", 0.001)
    monkeypatch.setattr(compiling, "has_begun", has_begun)
    with capture_logs() as said:
        warm_up.warm_up(lambda: _until(lambda: len(asked) > 1))
    assert said == []


@pytest.mark.usefixtures("functions")
def test_what_takes_a_while_is_told_meanwhile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever looks at a worker that compiles and does not join yet is told, in one line."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(warm_up, "TELL_SECONDS", 0.001)
    assert compiling.compiled(doubled)(21) == 42
    with capture_logs() as said:
        warm_up.warm_up(lambda: _until(lambda: bool(said)))
    assert lines(said) == [warm_up.NOT_YET]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def lines(said: list[Any]) -> list[str]:
    """What was logged, each at a level that a worker shows."""
    found: list[Mapping[str, Any]] = said
    assert all(line["log_level"] == "warning" for line in found)
    return [line["event"] for line in found]


def test_without_a_folder_to_keep_it_in_code_is_compiled(
    monkeypatch: pytest.MonkeyPatch, functions: list[Any]
) -> None:
    """Where neither the package nor the user's caches can be written to, a worker starts slowly."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])

    function = compiling.compiled(doubled)
    assert functions == [function]
    found: list[int] = []
    with capture_logs() as said:
        warm_up.warm_up(lambda: found.append(function(21)))
    assert found == [42]
    assert lines(said) == [warm_up.NOT_KEPT]


@pytest.mark.usefixtures("functions")
def test_a_broken_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code that was cut off, by a full disk for one, is compiled anew, and told."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))

    assert compiling.compiled(doubled)(1) == 2
    (index,) = tmp_path.rglob("*.nbi")
    index.write_bytes(b"")
    # As another process that starts.
    function = compiling.compiled(doubled)
    found: list[int] = []
    with capture_logs() as said:
        warm_up.warm_up(lambda: found.append(function(21)))
    assert found == [42]
    assert lines(said) == [warm_up.NOT_USABLE]
    assert said[0]["folders"] == {str(index.parent)}


def test_what_is_wrong_otherwise_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal that fails without kept code, too, ends the start."""
    monkeypatch.setattr(compiling, "keep_none", lambda: None)

    def broken() -> None:
        raise TypeError("not compiled")

    with capture_logs(), pytest.raises(TypeError, match="not compiled"):
        warm_up.warm_up(broken)
