"""The file of incidents: YAML to a ``Policy``, held against a JSON Schema."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.configuration.durations import DAY, duration
from inferwatch_streams.configuration.durations import SCHEMA as DURATION
from inferwatch_streams.configuration.file import ConfigurationFile
from inferwatch_streams.errors import MatcherError, StreamsError
from inferwatch_streams.incidents.incident import PRIORITIES
from inferwatch_streams.incidents.policy import (
    CRITICAL,
    STANDARD,
    Action,
    Deadlines,
    Level,
    Placement,
    Policy,
)
from inferwatch_streams.incidents.response_action import Surroundings, made

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from inferwatch_streams.configuration.file import Problem
    from inferwatch_streams.incidents.response_action import ResponseAction

#: Later than this an incident's times would be none that its record can have.
MAX_SPAN: Final = 3650 * DAY
_SPANS: Final = frozenset({
    "window", "quiet", "reopen", "acknowledge", "resolve", "wait", "timeout", "check_after",
})  # fmt: skip
# Of these, those that cannot be nothing.
_ABOVE_ZERO: Final = frozenset({"timeout", "check_after", "wait"})
_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 100}
_NAMES: Final = {"type": "array", "items": _NAME, "maxItems": 100}


def _object(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(properties),
        "required": list(required),
    }


_ACTION: Final = _object(
    {
        "uses": {**_NAME, "description": "Entry point that makes it; its own name without."},
        "with": {"type": "object", "description": "What it is made with; docs/incidents.md."},
        "dry_run": {
            "type": "boolean",
            "description": "Only say what would be done; so it is, until false, with all actions "
            "that change something.",
        },
        "timeout": {**DURATION, "description": "Of one attempt; 30s without."},
        "retries": {"type": "integer", "minimum": 0, "maximum": 10},
        "approval": {"type": "boolean", "description": "Wait until somebody approves it."},
        "metric": {
            "enum": ["error_rate", "p95", "first_token_p95"],
            "description": "What is measured before and after one that changes something.",
        },
        "check_after": {**DURATION, "description": "How long after it that is; 5m without."},
        "helped": {
            "type": "number", "exclusiveMinimum": 0, "maximum": 1,
            "description": "It helped where the metric fell to this share, or below; 0.8 without.",
        },
    }
)  # fmt: skip

SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Inferwatch: incidents",
    **_object(
        {
            "correlation": _object(
                {
                    "window": {**DURATION, "description": "How near in time alerts must be."},
                    "hosts_without_services": {
                        "enum": ["any", "none"],
                        "description": "Of which services' trouble a host that no placement names "
                        "may be the cause.",
                    },
                    "placements": {
                        "type": "array",
                        "description": "Which services run on which hosts, by patterns (*, ?).",
                        "items": _object(
                            {"hosts": _NAMES, "services": _NAMES}, "hosts", "services"
                        ),
                    },
                }
            ),
            "user_facing": {
                "type": "array",
                "description": "Alerts that users see: one more urgent. Matchers of one line, all "
                "of which must match.",
                "items": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            },
            "less_urgent": {
                "type": "array",
                "description": "Alerts that can wait: one less urgent. As user_facing; without, "
                "those of staging, test and the like.",
                "items": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            },
            "quiet": {**DURATION, "description": "All alerts over for so long end an incident."},
            "reopen": {
                **DURATION,
                "description": "An alert of it brings one back that long after.",
            },
            "priorities": _object(
                {
                    priority: _object({"acknowledge": DURATION, "resolve": DURATION})
                    for priority in PRIORITIES
                }
            ),
            "escalation": _object(
                {
                    "levels": {
                        "type": "array",
                        "maxItems": 20,
                        "items": _object(
                            {
                                "targets": {**_NAMES, "minItems": 1},
                                "wait": {
                                    **DURATION,
                                    "description": "How long they have; 15m without.",
                                },
                            },
                            "targets",
                        ),
                    },
                    "repeats": {"type": "integer", "minimum": 0, "maximum": 100},
                }
            ),
            "actions": {
                "type": "object",
                "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,62}$"},
                "additionalProperties": _ACTION,
            },
            "sets": _object({"all": _NAMES, **dict.fromkeys(PRIORITIES, _NAMES)}),
            "actions_per_hour": {"type": "integer", "minimum": 0, "maximum": 100_000},
        }
    ),
}


def read_policy(path: Path) -> tuple[Policy, ConfigurationFile]:
    """The policy of a file, and the file.

    Raises:
        ConfigurationError: It cannot be used; a line for each thing that is wrong.
    """
    return parsed(ConfigurationFile.read(path, SCHEMA))


def parsed(file: ConfigurationFile) -> tuple[Policy, ConfigurationFile]:
    """The policy of a file that fulfils the schema, and the file.

    Raises:
        ConfigurationError: It says what the schema does not forbid and cannot be all the same.
    """
    data: dict[str, Any] = file.data or {}
    file.refuse(_problems(file, data))
    usual = Policy()
    correlation = data.get("correlation", {})
    priorities = data.get("priorities", {})
    escalation = data.get("escalation", {})
    actions = {name: _action(name, said or {}) for name, said in data.get("actions", {}).items()}
    for name in ("collect_logs", "gather_metrics"):
        actions.setdefault(name, Action(name=name, uses=name))
    policy = Policy(
        window=_span(correlation, "window", usual.window),
        quiet=_span(data, "quiet", usual.quiet),
        reopen=_span(data, "reopen", usual.reopen),
        placements=tuple(
            Placement(tuple(each["hosts"]), tuple(each["services"]))
            for each in correlation.get("placements", ())
        ),
        unplaced=correlation.get("hosts_without_services", "any") == "any",
        user_facing=_matchers(data, "user_facing", usual.user_facing),
        less_urgent=_matchers(data, "less_urgent", usual.less_urgent),
        deadlines={
            priority: Deadlines(
                _span(priorities.get(priority, {}), "acknowledge", usually.acknowledge),
                _span(priorities.get(priority, {}), "resolve", usually.resolve),
            )
            for priority, usually in usual.deadlines.items()
        },
        levels=tuple(
            Level(tuple(each["targets"]), _span(each, "wait", Level(()).wait))
            for each in escalation.get("levels", ())
        ),
        repeats=escalation.get("repeats", usual.repeats),
        actions=actions,
        sets=_sets(data.get("sets", {}), actions),
        actions_per_hour=data.get("actions_per_hour", usual.actions_per_hour),
    )
    file.refuse(_order(file, policy))
    return policy, file


def _span(said: Mapping[str, Any], name: str, usual: int) -> int:
    text = said.get(name)
    return usual if text is None else duration(text)


def _matchers(
    data: Mapping[str, Any], name: str, usual: tuple[tuple[Matcher, ...], ...]
) -> tuple[tuple[Matcher, ...], ...]:
    said = data.get(name)
    if said is None:
        return usual
    return tuple(tuple(Matcher.parse(text) for text in texts) for texts in said)


def _action(name: str, said: Mapping[str, Any]) -> Action:
    usual = Action(name=name, uses=name)
    return Action(
        name=name,
        uses=said.get("uses", name),
        options=said.get("with", {}),
        dry_run=said.get("dry_run"),
        timeout=_span(said, "timeout", usual.timeout),
        retries=said.get("retries", usual.retries),
        approval=said.get("approval", usual.approval),
        metric=said.get("metric", usual.metric),
        check_after=_span(said, "check_after", usual.check_after),
        helped=said.get("helped", usual.helped),
    )


def _sets(said: Mapping[str, Any], actions: Mapping[str, Action]) -> dict[str, tuple[str, ...]]:
    """Unless said otherwise, the standard set for all, and before it the critical one for P1."""
    everyone = said.get("all", [name for name in STANDARD if name in actions])
    critical = said.get("P1", [name for name in CRITICAL if name in actions])
    own = {**said, "P1": critical}
    return {
        priority: tuple(dict.fromkeys((*own.get(priority, ()), *everyone)))
        for priority in PRIORITIES
    }


def _problems(file: ConfigurationFile, data: Mapping[str, Any]) -> Iterator[Problem]:
    known = {*data.get("actions", {}), "collect_logs", "gather_metrics"}
    for which, names in data.get("sets", {}).items():
        for number, name in enumerate(names):
            if name not in known:
                yield file.problem(
                    ("sets", which, number), f"{name!r} is not configured under actions"
                )
    yield from _bad_matchers(file, data)
    for path, text in _spans(data):
        if duration(text) > MAX_SPAN:
            yield file.problem(path, f"is longer than {MAX_SPAN // DAY}d")
        elif path[-1] in _ABOVE_ZERO and not duration(text):
            yield file.problem(path, "must be above 0")


def _spans(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """All lengths of time of a file, and where they stand."""
    places: list[tuple[tuple[str | int, ...], Mapping[str, Any]]] = [
        ((), data),
        (("correlation",), data.get("correlation", {})),
        *((("priorities", name), each) for name, each in data.get("priorities", {}).items()),
        *((("actions", name), each or {}) for name, each in data.get("actions", {}).items()),
        *(
            (("escalation", "levels", number), each)
            for number, each in enumerate(data.get("escalation", {}).get("levels", ()))
        ),
    ]
    for path, said in places:
        for name in sorted(_SPANS & said.keys()):
            yield (*path, name), said[name]


def _order(file: ConfigurationFile, policy: Policy) -> Iterator[Problem]:
    for urgent, less in pairwise(PRIORITIES):
        for name in ("acknowledge", "resolve"):
            if getattr(policy.deadlines[urgent], name) > getattr(policy.deadlines[less], name):
                yield file.problem(
                    ("priorities", urgent, name), f"is later than that of {less}, less urgent"
                )
    for priority, deadlines in policy.deadlines.items():
        if deadlines.acknowledge > deadlines.resolve:
            yield file.problem(("priorities", priority, "acknowledge"), "is later than resolve")


def _bad_matchers(file: ConfigurationFile, data: Mapping[str, Any]) -> Iterator[Problem]:
    for name in ("user_facing", "less_urgent"):
        for number, texts in enumerate(data.get(name, ())):
            for place, text in enumerate(texts):
                problem = _bad_matcher(text)
                if problem is not None:
                    yield file.problem((name, number, place), problem)


def _bad_matcher(text: str) -> str | None:
    try:
        Matcher.parse(text)
    except MatcherError as error:
        return str(error)
    return None


def actions_of(
    policy: Policy, file: ConfigurationFile | None, environment: Mapping[str, str]
) -> dict[str, ResponseAction]:
    """The actions of a policy, by name.

    Args:
        policy: The policy.
        file: Where it is from; None where it is the shipped one.
        environment: What actions take connections and secrets from.

    Raises:
        ConfigurationError: One cannot be made; a line for each, with its place in the file.
    """
    found: dict[str, ResponseAction] = {}
    problems = []
    for name, action in policy.actions.items():
        try:
            found[name] = made(action.uses, action.options, Surroundings(environment, name))
        except StreamsError as error:
            if file is None:
                raise
            problems.append(file.problem(("actions", name), str(error)))
    if file is not None:
        file.refuse(problems)
    return found
