"""Rules read from a file: a JSON Schema says what may stand in it, ``checking`` the rest."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.configuration.durations import DAY, duration
from inferwatch_streams.configuration.file import ConfigurationFile
from inferwatch_streams.rules import quiet
from inferwatch_streams.rules.checking import problems
from inferwatch_streams.rules.definition import (
    DEFAULT_DIRECTION,
    DEFAULT_P_VALUE,
    DEFAULT_SCORE,
    KINDS,
    Absence,
    Against,
    Anomaly,
    BurnRate,
    Change,
    Completeness,
    Forecast,
    Function,
    Rule,
    Threshold,
)
from inferwatch_streams.statistics.burn_rate import PAGE, TICKET, BurnPair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from inferwatch_streams.alerts.settings import AlertSettings

    Fields = Mapping[str, Any]

_HERE: Final = files("inferwatch_streams.rules")
PAIRS: Final = {"page": PAGE, "ticket": TICKET}
_SHIFTS: Final = {"yesterday": DAY, "last_week": 7 * DAY}


@dataclass(frozen=True, slots=True)
class RulesFile:
    """What a file of rules says.

    Attributes:
        rules: The rules that hold.
        alerting: How their alerts behave.
    """

    rules: tuple[Rule, ...]
    alerting: AlertSettings


def schema_text() -> str:
    """The JSON Schema of files of rules, for editors."""
    return json.dumps(schema(), indent=2) + "\n"


@cache
def schema() -> Mapping[str, Any]:
    """The JSON Schema of files of rules."""
    parsed: dict[str, Any] = json.loads((_HERE / "rules.schema.json").read_text(encoding="utf-8"))
    return {**parsed, "properties": {**parsed["properties"], **quiet.FIELDS}}


@cache
def default_rules() -> tuple[Rule, ...]:
    """The rules that hold where nobody wrote others.

    Raises:
        ConfigurationError: The file that is shipped is wrong.
    """
    text = (_HERE / "default_rules.yaml").read_text(encoding="utf-8")
    file = ConfigurationFile("default_rules.yaml", text, schema())
    file.refuse(problems(file, folder=None))
    return tuple(_rule(each) for each in file.data["rules"])


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file, and those that are shipped where it says ``defaults: true``.

    Raises:
        ConfigurationError: It cannot be read, or is wrong; a line for each field.
    """
    return read_file(path).rules


def read_file(path: Path) -> RulesFile:
    """All that a file says.

    Raises:
        ConfigurationError: It cannot be read, or is wrong; a line for each field.
    """
    file = ConfigurationFile.read(path, schema())
    shipped = default_rules() if file.data.get("defaults") else ()
    file.refuse(problems(file, folder=path.parent, shipped=[rule.name for rule in shipped]))
    own = [_rule(each) for each in file.data["rules"]]
    replaced = {rule.name for rule in own} | set(file.data.get("without", ()))
    rules = [*(rule for rule in shipped if rule.name not in replaced), *own]
    base = file.data.get("runbooks")
    based = rules if base is None else [_with_base(rule, base) for rule in rules]
    return RulesFile(tuple(based), quiet.alerting_of(file))


def _with_base(rule: Rule, base: str) -> Rule:
    if rule.runbook is None or "://" in rule.runbook:
        return rule
    name = PurePosixPath(rule.runbook).as_posix()
    return replace(rule, runbook=urljoin(base.rstrip("/") + "/", name))


def _rule(data: Fields) -> Rule:
    """A rule that the schema and the checks found sound."""
    common: dict[str, Any] = {
        "name": data["name"],
        "severity": data["severity"],
        "where": tuple(Matcher.parse(text) for text in data.get("where", ())),
        "by": tuple(data.get("by", ())),
        "pending": _time(data, "for"),
        "keep_firing": _time(data, "keep_firing_for"),
        "cooldown": _time(data, "cooldown"),
        "min_samples": int(data.get("min_samples", 0)),
        "labels": tuple(sorted(data.get("labels", {}).items())),
        "summary": data.get("summary", "{rule}: {value} (limit {threshold})"),
        "description": data.get("description", ""),
        "runbook": data.get("runbook"),
        "group_by": tuple(data.get("group_by", ())),
    }
    found: Rule = KINDS[data["kind"]](**common, **_READERS[data["kind"]](data))
    return found


def _time(data: Fields, name: str) -> int:
    return duration(data[name]) if name in data else 0


def _threshold(data: Fields) -> Fields:
    above = "above" in data
    return {
        "measure": data["measure"],
        "window": duration(data["window"]),
        "limit": float(data["above" if above else "below"]),
        "above": above,
    }


def _burn_rate(data: Fields) -> Fields:
    pairs = data["pairs"]
    return {
        "sli": data["sli"],
        "pairs": PAIRS[pairs] if isinstance(pairs, str) else tuple(_pair(each) for each in pairs),
        "objective": float(data.get("objective", 0)),
        "bound": _time(data, "bound"),
        "budget_usd": float(data.get("budget_usd", 0)),
        "period": _time(data, "period"),
    }


def _pair(data: Fields) -> BurnPair:
    return BurnPair(duration(data["long"]), duration(data["short"]), float(data["factor"]))


def _change(data: Fields) -> Fields:
    window = duration(data["window"])
    return {
        "measure": data["measure"],
        "window": window,
        "against": _against(data["against"], window),
        "increase": float(data.get("increase", math.inf)),
        "decrease": float(data.get("decrease", 0)),
        "at_least": float(data.get("at_least", 0)),
        "p_value": float(data.get("p_value", DEFAULT_P_VALUE)),
    }


def _against(data: str | Fields, window: int) -> Against:
    if isinstance(data, str):
        return Against(past=_SHIFTS.get(data, window))
    return Against(dimension=data["dimension"], value=data.get("value"), past=_time(data, "past"))


def _absence(data: Fields) -> Fields:
    return {
        "signal": data["signal"],
        "silent_for": duration(data["silent_for"]),
        "past": _time(data, "past") or DAY,
    }


def _forecast(data: Fields) -> Fields:
    return {
        "measure": data["measure"],
        "window": duration(data["window"]),
        "limit": float(data["limit"]),
        "within": duration(data["within"]),
        "rising": data.get("direction", "rising") == "rising",
    }


def _anomaly(data: Fields) -> Fields:
    return {
        "measure": data["measure"],
        "window": duration(data["window"]),
        "history": duration(data["history"]),
        "season": _time(data, "season"),
        "score": float(data.get("score", DEFAULT_SCORE)),
        "direction": data.get("direction", DEFAULT_DIRECTION),
        "at_least": float(data.get("at_least", 0)),
        "least_change": float(data.get("least_change", 0)),
    }


def _completeness(data: Fields) -> Fields:
    return {"window": duration(data["window"]), "above": float(data.get("above", 0))}


def _function(data: Fields) -> Fields:
    return {"function": data["function"], "parameters": data.get("parameters", {})}


_READERS: Final[Mapping[str, Callable[[Fields], Fields]]] = {
    Threshold.kind: _threshold,
    BurnRate.kind: _burn_rate,
    Change.kind: _change,
    Absence.kind: _absence,
    Forecast.kind: _forecast,
    Anomaly.kind: _anomaly,
    Completeness.kind: _completeness,
    Function.kind: _function,
}
