"""``inferwatch incidents``: what it shows, what it sends, and what it says of a bad file."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from incident_alerts import alert, command
from typer.testing import CliRunner, Result

from inferwatch import compacted_topics
from inferwatch.commands import incidents as told
from inferwatch.errors import CommandError
from inferwatch.main import app
from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.incidents.incident import ActionState, Incident
from inferwatch_streams.incidents.incidents import Incidents
from inferwatch_streams.incidents.policy import Policy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def incident(monkeypatch: pytest.MonkeyPatch) -> Incident:
    """The one incident that there is."""
    incidents = Incidents(Policy())
    labels = {"host": "gpu-7", "device": "GPU-1"}
    incidents.alert(alert("gpu_busy", 0, labels=labels, severity="medium"))
    (opened,) = incidents.alert(alert(seconds=20, severity="critical"))
    (taken,) = incidents.command(command("acknowledge", opened.incident_id, 60))
    done = ActionState(
        name="scale_up", status="succeeded", result="scaled\nto 5", value_before=0.5, undo="{}"
    )
    found = replace(taken, actions=(done,))
    monkeypatch.setattr(told, "incidents_now", lambda *_: {found.incident_id: found})
    return found


def run(*arguments: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, ["incidents", *arguments], catch_exceptions=True)


def test_list_and_show(incident: Incident) -> None:
    """The list has a line, and showing it tells cause, alerts, actions, timeline and runbook."""
    listed = run("list").stdout.splitlines()
    assert listed[1].split()[:3] == [incident.incident_id, "P2", "open"]
    shown = run("show", incident.incident_id).stdout
    for part in (
        "Probable cause: GPU on gpu-7: gpu_busy",
        "Runbook:        https://runbooks/error_rate",
        "by ann",
        "scale_up: succeeded (0.5 before, unknown after); can be undone",
        "    to 5",
        "gpu_busy joined",
        "Took it",
    ):
        assert part in shown


def test_what_can_wait_comes_last(incident: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    """An incident of staging is a P4, listed after what is more urgent."""
    labels = {"service": "chat", "environment": "staging"}
    (staging,) = Incidents(Policy()).alert(alert(seconds=5, labels=labels))
    found = {each.incident_id: each for each in (staging, incident)}
    monkeypatch.setattr(told, "incidents_now", lambda *_: found)
    listed = [line.split()[:3] for line in run("list").stdout.splitlines()[1:3]]
    assert listed == [[incident.incident_id, "P2", "open"], [staging.incident_id, "P4", "open"]]
    shown = run("show", staging.incident_id).stdout
    assert f"{staging.incident_id}  P4  open" in shown
    assert "To take by:" in shown


def test_commands_are_sent(incident: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command goes to the incident with what was said, under a name of its own."""
    sent: list[Any] = []

    def publish(*given: Any) -> None:
        sent.append(given[3])

    monkeypatch.setattr(compacted_topics, "publish", publish)
    for arguments in (
        ("ack",), ("assign", "bob"), ("investigate",), ("mitigate", "--reason", "rolls back"),
        ("comment", "looks better"), ("escalate",), ("approve", "scale_up"), ("undo", "scale_up"),
        ("resolve",),
    ):  # fmt: skip
        name, *rest = arguments
        assert run(name, incident.incident_id, *rest).exit_code == 0
    records = [each[incident.incident_id] for each in sent]
    assert [record["action"] for record in records] == [
        "acknowledge", "assign", "investigate", "mitigate", "comment", "escalate", "approve",
        "undo", "resolve",
    ]  # fmt: skip
    assert len({record["command_id"] for record in records}) == len(records)
    assert records[1]["assignee"] == "bob"
    assert (records[3]["text"], records[6]["response_action"]) == ("rolls back", "scale_up")
    assert all(record["event_time"] > 1_600_000_000_000_000 for record in records)


@pytest.mark.usefixtures("incident")
def test_unknown_incident() -> None:
    """What is not there is told in a sentence, and nothing is sent."""
    failed = run("ack", "nothing").exception
    assert isinstance(failed, CommandError)
    assert "There is no incident nothing" in str(failed)


def test_check(tmp_path: Path) -> None:
    """A sound file is told with what would run; what is wrong, with its line."""
    file = tmp_path / "incidents.yaml"
    file.write_text("actions:\n  scale_up:\n    with: {url: 'http://x'}\n    approval: true\n")
    assert run("check", str(file)).stdout.splitlines()[0] == (
        "P1: scale_up (dry run, waits for approval), collect_logs, gather_metrics"
    )
    file.write_text("quiet: later\n")
    failed = run("check", str(file)).exception
    assert isinstance(failed, ConfigurationError)
    assert f"{file}:1: quiet" in str(failed)


def test_schema() -> None:
    """The schema is JSON."""
    assert json.loads(run("schema").stdout)["title"] == "Inferwatch: incidents"


def test_what_services_write_moves_no_terminal(
    incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in labels and summaries is shown with what a terminal would obey spelt."""
    odd = "a\x1b]0;b\x07\u202ec"
    actions = (replace(incident.actions[0], result=odd),)
    alerts = (replace(incident.alerts[0], summary=odd),)
    found = replace(incident, title=odd, probable_cause=odd, actions=actions, alerts=alerts)
    monkeypatch.setattr(told, "incidents_now", lambda *_: {found.incident_id: found})
    for text in (run("show", found.incident_id).output, run("list").output):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
        assert "a\\x1b]0;b\\x07\\u202ec" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("comment", "ID", "x" * 1_000_000), "longer than 800 bytes"),
        (("comment", "ID", "\udcff"), "no UTF-8"),
        (("ack", "ID", "--reason", " "), "is empty"),
        (("assign", "ID", ""), "is empty"),
        (("assign", "ID", "b" * 201), "longer than 200 bytes"),
        (("approve", "ID", "pray"), "has no action pray; it has: scale_up."),
        (("ack", "no\x1b[2Jne"), r"There is no incident no\x1b[2Jne;"),
    ],
)
def test_what_an_incident_could_not_hold_is_refused(
    incident: Incident, arguments: tuple[str, ...], message: str
) -> None:
    """Before it is sent, in one sentence."""
    done = run(*(incident.incident_id if each == "ID" else each for each in arguments))
    assert isinstance(done.exception, CommandError)
    assert message in str(done.exception)
