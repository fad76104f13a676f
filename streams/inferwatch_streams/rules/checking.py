"""What is wrong with rules beyond what the JSON Schema can say, told with the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.errors import MatcherError
from inferwatch_streams.rules.burn_rate import SLIS
from inferwatch_streams.rules.checking_kinds import of_kind, of_numbers, of_windows
from inferwatch_streams.rules.completeness import DIMENSIONS
from inferwatch_streams.rules.measure import dimensions_of
from inferwatch_streams.rules.measures import MEASURES
from inferwatch_streams.rules.texts import DETAILS, FIELDS, named_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from inferwatch_streams.configuration.file import ConfigurationFile, Key, Problem

    Fields = Mapping[str, Any]
    #: Where in a rule, and why.
    Found = Iterator[tuple[tuple[Key, ...], str]]

_EACH: Final = {"host", "device"}
_ALWAYS: Final = ("rule", "severity")
GRAVE: Final = ("high", "critical")
"""Severities of which somebody is called, who has to know what to do."""


def problems(
    file: ConfigurationFile, *, folder: Path | None, shipped: Sequence[str] = ()
) -> Iterator[Problem]:
    """All that is wrong with a file that fulfils the schema.

    Args:
        file: The file.
        folder: Where runbooks that are a path are looked for; None to look for none.
        shipped: Names of the shipped rules that hold, too.
    """
    known: dict[str, int] = {}
    for number, rule in enumerate(file.data["rules"]):
        first = known.setdefault(rule["name"], number)
        if first != number:
            message = f"{rule['name']!r} is the name of rules[{first}], too"
            yield file.problem(("rules", number, "name"), message)
        looked_for = None if "runbooks" in file.data else folder
        for path, message in _of_rule(rule, looked_for):
            yield file.problem(("rules", number, *path), message)
    for number, name in enumerate(file.data.get("without", ())):
        if name not in shipped:
            message = f"{name!r} is no shipped rule that holds here"
            yield file.problem(("without", number), message)


def _of_rule(rule: Fields, folder: Path | None) -> Found:
    yield from _dimensions(rule)
    yield from _labels(rule)
    yield from of_numbers(rule)
    yield from of_windows(rule)
    yield from of_kind(rule)
    yield from _texts(rule)
    yield from _runbook(rule, folder)


def dimensions(rule: Fields) -> tuple[str, ...] | None:
    """What the rule's groups can be told apart by; None where anything goes."""
    match rule["kind"]:
        case "absence":
            return dimensions_of(rule["signal"])
        case "completeness":
            return DIMENSIONS
        case "function":
            return None
        case "burn_rate":
            return dimensions_of(MEASURES[SLIS[rule["sli"]]].signal)
        case _:
            return dimensions_of(MEASURES[rule["measure"]].signal)


def _dimensions(rule: Fields) -> Found:
    known = dimensions(rule)
    if known is None:
        if "where" in rule:
            yield ("where",), "is not looked at: the function chooses its groups itself"
        return
    has = f"is no dimension here, which has {', '.join(known)}"
    for number, name in enumerate(rule.get("by", ())):
        if name not in known:
            yield ("by", number), f"{name!r} {has}"
        elif name not in _divisible_by(rule):
            yield ("by", number), f"{rule['measure']} cannot be told apart by {name!r}"
    if str(rule.get("measure")).startswith("increase(") and _EACH - {*rule.get("by", ())}:
        yield ("measure",), "is of one device alone: by has to hold host and device"
    yield from _where(rule, known, has)


def _where(rule: Fields, known: tuple[str, ...], has: str) -> Found:
    for number, text in enumerate(rule.get("where", ())):
        try:
            matcher = Matcher.parse(text)
        except MatcherError as error:
            yield ("where", number), str(error)
        else:
            if matcher.name not in known:
                yield ("where", number), f"{matcher.name!r} {has}"
            elif matcher.name in _fixed(rule):
                yield ("where", number), f"{rule['measure']} says already which {matcher.name}"


def _fixed(rule: Fields) -> set[str]:
    """Dimensions of which a measure is of one value alone."""
    return {each.name for each in MEASURES[rule["measure"]].where} if "measure" in rule else set()


def _divisible_by(rule: Fields) -> set[str]:
    """Dimensions by which groups can be told apart; both parts of a ratio need to have them."""
    over = MEASURES[rule["measure"]].over if "measure" in rule else None
    if over is None:
        return set(dimensions(rule) or ())
    return set(dimensions_of(MEASURES[over].signal)) - _fixed(rule)


def _labels(rule: Fields) -> Found:
    by, added = rule.get("by", ()), rule.get("labels", {})
    for name in added:
        if name in by or name in _ALWAYS:
            yield ("labels", name), "is a label of the alert already"
    for number, name in enumerate(rule.get("group_by", ())):
        if name not in {*by, *added, *_ALWAYS}:
            yield ("group_by", number), f"{name!r} is no label of this rule's alerts"


def _texts(rule: Fields) -> Found:
    details = DETAILS[rule["kind"]]
    known = {*FIELDS, *rule.get("by", ()), *rule.get("labels", ()), *details}
    for text in ("summary", "description"):
        if text not in rule:
            continue
        try:
            named = list(named_fields(rule[text]))
        except ValueError as error:
            yield (text,), str(error)
            continue
        if rule["kind"] != "function":
            for name in sorted({name for name, _ in named} - known):
                yield (text,), f"{{{name}}} is none of {', '.join(sorted(known))}"
        yield from (((text,), message) for message in _formats(named, rule))


def _formats(named: Iterable[tuple[str, str]], rule: Fields) -> Iterator[str]:
    texts = {*rule.get("by", ()), *rule.get("labels", ()), "rule", "severity", "other"}
    for name, form in named:
        try:
            format("" if name in texts else 1.5, form)
        except ValueError as error:
            yield f"{{{name}:{form}}} cannot be written so: {error}"


def _runbook(rule: Fields, folder: Path | None) -> Found:
    runbook = rule.get("runbook")
    if runbook is None:
        if rule["severity"] in GRAVE:
            yield (), f"a rule of the severity {rule['severity']} needs a runbook"
    elif "://" not in runbook and folder is not None and not (folder / runbook).is_file():
        yield (
            ("runbook",),
            f"there is no file {runbook} beside this one; name one, a URL, or a base by runbooks",
        )
