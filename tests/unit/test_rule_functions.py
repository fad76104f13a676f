"""Rules that are a team's own functions."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from dictionary_windows import NOW, DictionaryWindows
from structlog.testing import capture_logs
from written_rules import refusals

from inferwatch_streams.rules import function
from inferwatch_streams.rules.definition import Function
from inferwatch_streams.rules.evaluation import Evaluator
from inferwatch_streams.rules.finding import Finding


def two_findings(_: Any, at: int, parameters: Any) -> list[Finding]:
    """What a team might write."""
    if parameters.get("garbage"):
        return [Finding(labels={"x": "1"}, value=float("nan"), threshold=None, samples=None)]
    if parameters.get("broken"):
        raise ZeroDivisionError("as teams do")
    assert at == NOW
    return [Finding(labels={"x": "1"}, value=1.0, threshold=parameters["limit"], samples=None)]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A function, installed as an entry point."""
    point = EntryPoint("team_rule", f"{__name__}:two_findings", function.GROUP)
    broken = EntryPoint("broken_import", "no.such.module:f", function.GROUP)
    points = EntryPoints([point, broken])
    monkeypatch.setattr(function, "entry_points", points.select)
    function.loaded.cache_clear()
    yield
    function.loaded.cache_clear()


@pytest.mark.usefixtures("installed")
def test_a_function_that_raises_is_told_once_and_stops_no_other() -> None:
    """Until it works again."""
    good = Function(
        name="good", severity="low", function="team_rule", parameters={"limit": 3.0},
        labels=(("team", "x"),),
    )  # fmt: skip
    bad = Function(name="bad", severity="low", function="team_rule", parameters={"broken": 1})
    lost = Function(name="lost", severity="low", function="gone")
    evaluator = Evaluator()
    with capture_logs() as logs:
        evaluator.tick([bad, lost, good], DictionaryWindows(), NOW)
        found = evaluator.tick([bad, lost, good], DictionaryWindows(), NOW)
    assert sorted(log["rule"] for log in logs) == ["bad", "lost"]
    (finding,) = found.findings["good"]
    assert (finding.labels, finding.threshold) == ({"x": "1", "team": "x"}, 3.0)
    assert found.findings.keys() == {"good"}
    assert "ZeroDivisionError('as teams do')" in found.failures["bad"]
    assert "installed are: broken_import, team_rule" in found.failures["lost"]
    garbage = Function(name="g", severity="low", function="team_rule", parameters={"garbage": 1})
    assert "no Finding" in evaluator.tick([garbage], DictionaryWindows(), NOW).failures["g"]
    with capture_logs() as logs:
        evaluator.tick([good], DictionaryWindows(), NOW)
        evaluator.tick([bad], DictionaryWindows(), NOW)
    assert [log["rule"] for log in logs] == ["bad"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "told"), [("gone", "There is no function 'gone'"), ("broken_import", "be imported")]
)
def test_a_function_that_is_not_there_is_told(tmp_path: Path, name: str, told: str) -> None:
    """With those that are."""
    text = f"rules:\n- {{name: x, kind: function, severity: low, function: {name}}}\n"
    (found,) = refusals(tmp_path, text=text)
    assert "rules[0].function" in found
    assert told in found
