"""Definitions in a file: JSON, one object or a list of them, with the fields of ``Experiment``."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.errors import ExperimentError
from inferwatch_agents.experiments.definition import Experiment, Namespace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EARLIEST_YEAR: Final = 1971
LATEST_YEAR: Final = 2104


def load_experiments(path: str | Path) -> tuple[Experiment, ...]:
    """The definitions in a file.

    Raises:
        ExperimentError: The file cannot be read, or a definition in it cannot be; names the file
            and the field.
    """
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  # text or Path alike
            found = json.load(file, object_pairs_hook=_once)
        listed = found if isinstance(found, list) else [found]
        experiments = tuple(map(parse_experiment, listed))
    except ExperimentError as error:
        raise ExperimentError(f"{path}: {error}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ExperimentError(f"{path} cannot be read as JSON: {error}.") from error
    if not experiments:
        raise ExperimentError(f"{path} defines nothing.")
    keys = [experiment.key for experiment in experiments]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise ExperimentError(f"{path} defines {', '.join(sorted(twice))} more than once.")
    return experiments


def parse_experiment(found: Any) -> Experiment:
    """The definition in a JSON object.

    ``variants`` is an object of weights, or a list of names of equal weight.

    Raises:
        ExperimentError: It cannot be; names the field.
    """
    if not isinstance(found, dict):
        raise ExperimentError(f"{found!r} is no definition; write a JSON object.")
    about = f"experiment {found['key']!r}: " if "key" in found else ""
    values = {}
    for name, value in found.items():
        if name not in _FIELDS:
            raise ExperimentError(f"{about}there is no field {name!r}; use {', '.join(_FIELDS)}.")
        read, wanted = _FIELDS[name]
        try:
            values[name] = read(value)
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise ExperimentError(f"{about}{name} is {value!r}; it must be {wanted}.") from error
    for name in ("key", "variants"):
        if name not in values:
            raise ExperimentError(f"{about}{name} is missing.")
    try:
        return Experiment(**values)
    except ExperimentError as error:
        raise ExperimentError(f"{about}{error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ExperimentError(f"{twice!r} stands twice in one object.")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    # JSON can escape halves of a character, which no record can hold: a ValueError.
    value.encode()
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError
    return float(value)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _time(value: Any) -> datetime:
    time = datetime.fromisoformat(_text(value))
    # What the schema takes, a year less on both sides for the time zones.
    if not EARLIEST_YEAR <= time.year <= LATEST_YEAR:
        raise ValueError
    return time


def _variants(value: Any) -> dict[str, float]:
    if isinstance(value, list):
        weight = 1 / len(value) if value else 0.0
        value = _once([(_text(name), weight) for name in value])
    return {_text(name): _number(weight) for name, weight in _object(value).items()}


def _forced(value: Any) -> dict[str, str]:
    return {_text(user): _text(variant) for user, variant in _object(value).items()}


def _namespace(value: Any) -> Namespace:
    if _object(value).keys() != {"name", "start", "end"}:
        raise ValueError
    return Namespace(
        name=_text(value["name"]), start=_number(value["start"]), end=_number(value["end"])
    )


def _metrics(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(map(_text, value))


_FIELDS: Final[dict[str, tuple[Callable[[Any], Any], str]]] = {
    "key": (_text, "text"),
    "variants": (_variants, "an object of weights, or a list of names"),
    "status": (_text, "text"),
    "coverage": (_number, "a number"),
    "seed": (_text, "text"),
    "starts_at": (_time, "a time such as 2026-01-31T12:00:00Z"),
    "ends_at": (_time, "a time such as 2026-01-31T12:00:00Z"),
    "winner": (_text, "text"),
    "forced": (_forced, "an object of variants by user"),
    "namespace": (_namespace, "an object of name, start and end"),
    "metrics": (_metrics, "a list of names"),
    "description": (_text, "text"),
}
