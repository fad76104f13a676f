"""Definitions of experiments: files, records, and one sentence for what cannot be."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from inferwatch_agents.errors import ExperimentError
from inferwatch_agents.experiments.definition import Experiment, Namespace
from inferwatch_agents.experiments.files import load_experiments
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder, decode

FULL = Experiment(
    "prompt",
    {"short": 0.4, "long": 0.6},
    status="stopped",
    coverage=0.5,
    seed="s",
    starts_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
    ends_at=datetime(2026, 2, 28, 12, 30, 1, 999_999, tzinfo=UTC),
    winner="long",
    forced={"u1": "long"},
    namespace=Namespace(name="n", start=0.25, end=0.5),
    metrics=("thumbs_up", "purchase"),
    description="Shorter prompts.",
)
TEXT = {
    "key": "prompt",
    "variants": {"short": 0.4, "long": 0.6},
    "status": "stopped",
    "coverage": 0.5,
    "seed": "s",
    "starts_at": "2026-01-31T12:00:00Z",
    "ends_at": "2026-02-28T13:30:01.999999+01:00",
    "winner": "long",
    "forced": {"u1": "long"},
    "namespace": {"name": "n", "start": 0.25, "end": 0.5},
    "metrics": ["thumbs_up", "purchase"],
    "description": "Shorter prompts.",
}
PLAIN = {"key": "prompt", "variants": ["a", "b", "c", "d"]}


def load(folder: Path, found: Any) -> tuple[Experiment, ...]:
    """Load what a file holds."""
    file = folder / "experiments.json"
    file.write_text(found if isinstance(found, str) else json.dumps(found), encoding="utf-8")
    return load_experiments(file)


def test_a_file_says_all_that_code_can(tmp_path: Path) -> None:
    """One definition or a list of them; names alone are of equal weight."""
    assert load(tmp_path, TEXT) == (FULL,)
    plain = Experiment("prompt", {"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25})
    assert load(tmp_path, [PLAIN, {**TEXT, "key": "two"}])[0] == plain


@pytest.mark.parametrize("experiment", [FULL, Experiment("e", {"a": 0.5, "b": 0.5})])
def test_a_record_says_all_that_code_can(experiment: Experiment) -> None:
    """What is published is what is read, to the microsecond."""
    registry = PinnedRegistry()
    value = Encoder("experiment", registry).encode(experiment.to_record(7, "me"))
    assert Experiment.from_record(decode(value, registry)) == experiment


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": ""}, "key is ''; it must have a name"),
        ({"variants": ["a"]}, "there must be two or more"),
        ({"variants": ["a", "a"]}, "'a' stands twice"),
        ({"variants": ["a", ""]}, "each must have a name"),
        ({"variants": {"a": 0.5, "b": 0.4}}, "the weights must add up to 1"),
        ({"variants": {"a": 1.5, "b": -0.5}}, "weights are 0 to 1"),
        ({"variants": {"a": True, "b": 0}}, "it must be an object of weights"),
        ({"variants": "ab"}, "variants is 'ab'; it must be an object of weights"),
        ({"variants": None}, "variants is None; it must be"),
        ({"status": "runing"}, "status is 'runing'; it must be one of draft, running"),
        ({"coverage": 1.5}, "coverage is 1.5; it must be between 0 and 1"),
        ({"coverage": "1"}, "coverage is '1'; it must be a number"),
        ({"starts_at": "soon"}, "starts_at is 'soon'; it must be a time such as"),
        ({"starts_at": "2026-01-31T12:00:00"}, "starts_at .* must have a time zone"),
        ({"ends_at": "2026-01-31"}, "ends_at .* must have a time zone"),
        (
            {"starts_at": "2026-02-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"},
            "ends_at .* must be after starts_at",
        ),
        ({"winner": "a"}, "winner is 'a'; .* the status must be stopped"),
        ({"winner": "x", "status": "stopped"}, "winner is 'x'; it must be one of the variants"),
        ({"forced": {"u": "x"}}, "forced .* must be one of the variants"),
        ({"forced": ["u"]}, "forced is .*; it must be an object of variants by user"),
        ({"namespace": {"name": "n", "start": 0.5, "end": 0.5}}, "namespace .* 0 <= start < end"),
        ({"namespace": {"name": "n"}}, "namespace is .*; it must be an object of name, start"),
        ({"metrics": "m"}, "metrics is 'm'; it must be a list of names"),
        ({"weights": [0.5, 0.5]}, "there is no field 'weights'; use key, variants"),
    ],
)
def test_what_cannot_be_names_file_and_field(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    """In one sentence."""
    with pytest.raises(ExperimentError, match=said) as caught:
        load(tmp_path, {**PLAIN, **change})
    assert str(caught.value).startswith(f"{tmp_path}/experiments.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("7", "7 is no definition"),
        ('{"variants": ["a", "b"]}', "key is missing"),
        ('{"key": "k"}', "variants is missing"),
        ('{"key": "k", "key": "l", "variants": ["a", "b"]}', "'key' stands twice"),
        (json.dumps([PLAIN, PLAIN]), "defines prompt more than once"),
    ],
)
def test_files_that_are_none_are_told(tmp_path: Path, text: str, said: str) -> None:
    """With the name of the file."""
    with pytest.raises(ExperimentError, match=rf"experiments\.json.*{said}"):
        load(tmp_path, text)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(ExperimentError, match=r"nothing\.json cannot be read"):
        load_experiments(tmp_path / "nothing.json")
