"""The file of incidents: what it may say, and how it is told what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jsonschema
import pytest

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.configuration.file import ConfigurationFile
from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.incidents.policy import MINUTE, Deadlines, Policy
from inferwatch_streams.incidents.policy_file import SCHEMA, actions_of, parsed

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
correlation:
  window: 20m
  hosts_without_services: none
  placements:
    - {hosts: ["gpu-*"], services: [chat, search]}
user_facing:
  - [service="chat", environment=prod]
less_urgent:
  - [environment=~"lab.*"]
quiet: 2m
reopen: 1h
priorities:
  P1: {acknowledge: 2m, resolve: 30m}
escalation:
  levels:
    - {targets: [on-call]}
    - {targets: [lead], wait: 5m}
  repeats: 1
actions:
  scale_up:
    with: {url: "http://scaler/up", undo_url: "http://scaler/down"}
    dry_run: false
    approval: true
  notify_team:
    with: {targets: [team]}
actions_per_hour: 10
"""


def read(text: str) -> Policy:
    """The policy of a text."""
    return parsed(ConfigurationFile("incidents.yaml", text, SCHEMA))[0]


def test_whole_file() -> None:
    """All that a file may say comes to the policy."""
    policy = read(WHOLE)
    assert (policy.window, policy.quiet, policy.unplaced) == (20 * MINUTE, 2 * MINUTE, False)
    assert policy.deadlines["P1"] == Deadlines(2 * MINUTE, 30 * MINUTE)
    assert policy.deadlines["P2"] == Policy().deadlines["P2"]
    assert policy.levels[1].targets == ("lead",)
    assert policy.sets["P1"] == ("scale_up", "collect_logs", "gather_metrics", "notify_team")
    assert policy.sets["P4"] == ("collect_logs", "gather_metrics", "notify_team")
    assert policy.actions["scale_up"].approval
    assert [matcher.name for matcher in policy.user_facing[0]] == ["service", "environment"]
    assert policy.less_urgent == ((Matcher("environment", "=~", "lab.*"),),)
    assert read("less_urgent: []").less_urgent == ()


def test_usual_file() -> None:
    """A file that says nothing is the shipped policy."""
    assert read("{}") == Policy()


def test_schema_is_one() -> None:
    """The published schema is itself sound."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quiet: soon", "incidents.yaml:1: quiet"),
        ("quite: 5m", "'quite' was unexpected"),
        ("sets: {P1: [pray]}", "sets.P1[0]: 'pray' is not configured"),
        ("user_facing:\n- ['service']", "incidents.yaml:2: user_facing[0][0]"),
        ("less_urgent: [['a=~(']]", "incidents.yaml:1: less_urgent[0][0]"),
        ("priorities: {P1: {acknowledge: 2h}}", "priorities.P1.acknowledge: is later than"),
        ("priorities: {P4: {resolve: 1m}}", "is later than"),
        ("escalation: {levels: [{targets: []}]}", "escalation.levels[0].targets"),
        ("escalation: {levels: [{targets: [a], wait: 0m}]}", "must be above 0"),
        ("actions: {scale-up: {}}", "scale-up"),
        ('quiet: "5m\\n"', "quiet: "),
        ("priorities: {P4: {resolve: 999999d}}", "priorities.P4.resolve: is longer than 3650d"),
        ("actions: {collect_logs: {timeout: 0s}}", "collect_logs.timeout: must be above 0"),
        ("actions: {collect_logs: {check_after: 0ms}}", "check_after: must be above 0"),
    ],
)
def test_what_is_wrong(text: str, message: str) -> None:
    """What is wrong is told with its place."""
    with pytest.raises(ConfigurationError) as told:
        read(text)
    assert message in str(told.value)


def test_bad_actions(tmp_path: Path) -> None:
    """Actions that cannot be made are told with their lines."""
    path = tmp_path / "incidents.yaml"
    path.write_text("actions:\n  scale_up:\n    with: {}\n  own:\n    uses: nothing\n")
    policy, file = parsed(ConfigurationFile.read(path, SCHEMA))
    with pytest.raises(ConfigurationError) as told:
        actions_of(policy, file, {})
    first, second = str(told.value).splitlines()
    assert first.startswith(f"{path}:2: actions.scale_up: url is missing")
    assert second.startswith(f"{path}:4: actions.own: there is no response action 'nothing'")
