"""``inferwatch evaluate``: what it prints, how it ends, and what it refuses."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from inferwatch.errors import CommandError
from inferwatch.evaluating import FailedEvaluationError
from inferwatch.imports import named
from inferwatch.main import app
from inferwatch_agents.errors import ConfigurationError

MODEL = """
def answer(question):
    if question == "fail":
        raise ConnectionError("away")
    return question

def judge(question, answer):
    return 0.9

nothing = None
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Yield a working directory with a model and a set of questions."""
    (tmp_path / "asked_model.py").write_text(MODEL, encoding="utf-8")
    questions = [
        {"id": "a", "input": "A", "expected": "A", "tags": ["x"]},
        {"id": "b", "input": "B", "expected": "A"},
        {"id": "c", "input": "So 3.1", "expected": 3, "judge": {"name": "numeric", "absolute": 1}},
        {"id": "d", "input": "fail", "expected": "A", "judge": "asked_model:judge"},
    ]
    lines = "\n".join(json.dumps(question) for question in questions)
    (tmp_path / "set.jsonl").write_text(lines, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "asked_model", raising=False)
    return tmp_path


def evaluate(*arguments: str) -> Result:
    """Run it without Kafka."""
    given = ["set.jsonl", "--model", "asked_model:answer", "--dry-run"]
    judges = ["--judge", "exact", "--judge", "asked_model:judge"]
    return CliRunner().invoke(app, ["evaluate", *given, *judges, *arguments])


@pytest.mark.usefixtures("folder")
def test_it_prints_a_summary() -> None:
    """Of all questions and of each tag, and the errors with what they said."""
    result = evaluate("--name", "mine")
    assert result.exit_code == 0, result.output
    first, heads, total, tag, errors = result.output.splitlines()
    assert first.startswith("mine, set@")
    assert heads.split()[:5] == ["Tag", "Questions", "Passed", "Accuracy", "Score"]
    assert total.split()[:7] == ["all", "4", "2", "0.6667", "0.6667", "1", "0.25"]
    assert tag.split()[:4] == ["x", "1", "1", "1"]
    assert errors == "1 x ConnectionError: away"


@pytest.mark.usefixtures("folder")
def test_it_fails_below_what_is_asked() -> None:
    """After it has printed what was measured; nothing measured is not good enough either."""
    assert evaluate("--fail-under", "0.66").exit_code == 0
    result = evaluate("--fail-under", "0.67")
    assert isinstance(result.exception, FailedEvaluationError)
    assert str(result.exception) == "The accuracy 0.666667 is below 0.67."
    assert "0.6667" in result.output
    Path("set.jsonl").write_text('{"id": "a", "input": "fail", "expected": ""}', encoding="utf-8")
    assert isinstance(evaluate().exception, FailedEvaluationError)
    result = evaluate("--fail-under", "0.5", "--every", "10")
    assert (result.exit_code, "no end to exit at" in result.output) == (2, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("asked_model", "not of the form MODULE:NAME"),
        ("asked_model:", "not of the form MODULE:NAME"),
        ("no_such_module:answer", "No module named 'no_such_module'"),
        ("asked_model:other", "has no attribute 'other'"),
        ("asked_model:nothing", "is NoneType, which cannot be called"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_called_is_one_sentence(text: str, said: str) -> None:
    """It names what was asked for."""
    with pytest.raises(CommandError, match=said):
        named(text)


@pytest.mark.usefixtures("folder")
def test_a_judge_may_have_options() -> None:
    """As JSON, as in a set of questions."""
    given = ["evaluate", "set.jsonl", "--model", "asked_model:answer", "--dry-run", "--judge"]
    assert "is no JSON" in CliRunner().invoke(app, [*given, "{"]).output
    result = CliRunner().invoke(app, [*given, '{"name": "exact", "fuzzy": 1}'])
    assert isinstance(result.exception, ConfigurationError)


def test_it_goes_on_until_it_is_told_to_end(folder: Path) -> None:
    """Runs follow one another; SIGTERM ends it at once and in good order."""
    arguments = ["evaluate", "set.jsonl", "--model", "asked_model:answer", "--dry-run"]
    judges = ["--judge", "exact", "--judge", "asked_model:judge", "--every", "0.05"]
    with subprocess.Popen(  # noqa: S603  # our own program, no shell
        [sys.executable, "-c", "from inferwatch.main import run; run()", *arguments, *judges],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        runs = set()
        while len(runs) < 2:
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            if ", run " in line:
                runs.add(line)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")
