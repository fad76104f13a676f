"""``inferwatch rules``: what its commands print, and how they end."""

import json
from pathlib import Path

from typer.testing import CliRunner

from inferwatch.commands.rules import app
from inferwatch.errors import CommandError
from inferwatch_streams.rules.reading import default_rules, schema

GOOD = "rules:\n- {name: a, kind: completeness, severity: low, window: 1h}\n"


def test_the_schema_is_printed_as_it_is() -> None:
    """So that it can be sent to a file."""
    assert json.loads(CliRunner().invoke(app, ["schema"]).output) == schema()


def test_files_are_checked_each(tmp_path: Path) -> None:
    """One that is wrong stops no other from being checked; the exit status says so."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(GOOD, encoding="utf-8")
    bad.write_text(GOOD.replace("1h", "1s"), encoding="utf-8")
    gone = tmp_path / "gone.yaml"
    result = CliRunner().invoke(app, ["check", str(bad), str(gone), str(good)])
    assert isinstance(result.exception, CommandError)
    assert str(result.exception) == "2 of 3 files cannot be used."
    wrong, lost, sound, need = result.output.splitlines()
    assert wrong == f"{bad}:2: rules[0].window: '1s' is not a multiple of 10s from 10s to 3d"
    assert lost.startswith(f"{gone}: cannot be read")
    assert sound == f"{good}: 1 rule is sound."
    assert need.startswith(f"{good}: a: the kind completeness needs ClickHouse")
    assert CliRunner().invoke(app, ["check", str(good)]).exit_code == 0


def test_rules_are_shown_as_a_table(tmp_path: Path) -> None:
    """Those of a file, or those that are shipped."""
    path = tmp_path / "r.yaml"
    path.write_text(GOOD, encoding="utf-8")
    shown = CliRunner().invoke(app, ["list", str(path)]).output.splitlines()
    assert shown[0].split() == ["rule", "kind", "severity", "condition", "for", "by"]
    assert shown[1].split()[:3] == ["a", "completeness", "low"]
    assert len(shown) == 2
    shipped = CliRunner().invoke(app, ["list"]).output.splitlines()
    assert [line.split()[0] for line in shipped[1:]] == [rule.name for rule in default_rules()]
