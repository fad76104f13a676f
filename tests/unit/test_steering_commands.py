"""``inferwatch experiments`` and ``inferwatch controls``: what is told before Kafka is asked."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from inferwatch.commands.experiments import _deals_anew  # what its warning hangs on
from inferwatch.main import app
from inferwatch_agents.experiments.definition import Experiment, Namespace

NOBODY = {"INFERWATCH_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
PROMPT = Experiment("prompt", {"a": 0.5, "b": 0.5}, coverage=0.5)


def run(*arguments: str) -> Result:
    """Run a command where no broker is."""
    return CliRunner().invoke(app, arguments, env=NOBODY)


def test_a_file_can_be_checked_without_kafka(tmp_path: Path) -> None:
    """Nothing is published, and what cannot be names file and field."""
    file = tmp_path / "e.json"
    file.write_text(json.dumps({"key": "prompt", "variants": ["a", "b"]}))
    done = run("experiments", "put", str(file), "--dry-run")
    assert (done.exit_code, done.stdout) == (0, "sound     prompt\n")
    file.write_text(json.dumps({"key": "prompt", "variants": ["a"]}))
    done = run("experiments", "put", str(file), "--dry-run")
    assert str(done.exception) == (
        f"{file}: experiment 'prompt': variants is {{'a': 1.0}}; there must be two or more."
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["open"], "open_circuit needs a service, a model or an endpoint."),
        (["open", "--model", "m", "--shed", "2"], "ratio is 2.0; it must be above 0 and up to 1."),
        (
            ["open", "--arm", "prompt/long", "--model", "m"],
            "--arm ends an arm for all; leave out --model, --endpoint and --shed.",
        ),
        (
            ["open", "--service", "s", "--model", ""],
            "--service, --environment or --model is empty; leave it out.",
        ),
        (["open", "--arm", "prompt"], "--arm is 'prompt'; write EXPERIMENT/VARIANT."),
        (["close", "--environment", "e"], "open_circuit needs a service, a model or an endpoint."),
    ],
)
def test_controls_of_nothing_are_refused(arguments: list[str], said: str) -> None:
    """In one sentence."""
    assert str(run("controls", *arguments).exception) == said


def test_controls_end_within_a_year() -> None:
    """An endless time is wrong usage."""
    assert run("controls", "open", "--model", "m", "--minutes", "inf").exit_code == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "{} defines nothing."),
        ("[" * 100_000, "{} cannot be read as JSON: maximum recursion depth"),
        ('{"key": "e", "coverage": 1%s}' % ("0" * 400), "{}: experiment 'e': coverage is 10000"),
        ('{"key": "\\ud800"}', "{}: experiment '\\ud800': key is '\\ud800'; it must be text."),
        ('{"key": "e", "variants": {"\\ud800": 1}}', "{}: experiment 'e': variants is {{'"),
        ('{"key": "e", "ends_at": "9999-12-31T00:00Z"}', "{}: experiment 'e': ends_at is '9999"),
    ],
)
def test_a_file_that_no_record_can_hold(tmp_path: Path, content: str, said: str) -> None:
    """What is called sound can be published; else a sentence names file and field."""
    file = tmp_path / "e.json"
    file.write_text(content)
    done = run("experiments", "put", str(file), "--dry-run")
    assert str(done.exception).startswith(said.format(file))


def test_dealing_anew_is_noticed() -> None:
    """What moves users of a running experiment, and nothing else."""
    moving = [
        replace(PROMPT, variants={"a": 0.4, "b": 0.6}),
        replace(PROMPT, variants={"b": 0.5, "a": 0.5}),
        replace(PROMPT, seed="another"),
        replace(PROMPT, coverage=0.4),
        replace(PROMPT, namespace=Namespace(name="n", start=0, end=0.5)),
    ]
    staying = [
        replace(PROMPT, coverage=1.0),
        replace(PROMPT, seed="prompt"),
        replace(PROMPT, status="paused"),
    ]
    assert [_deals_anew(PROMPT, after) for after in moving] == [True] * len(moving)
    assert [_deals_anew(PROMPT, after) for after in staying] == [False] * len(staying)
    draft = replace(PROMPT, status="draft")
    assert not _deals_anew(draft, replace(draft, seed="another"))
    assert not _deals_anew(None, PROMPT)
