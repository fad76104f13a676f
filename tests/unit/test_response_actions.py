"""Response actions against servers that hang, fail and recover, and as the runner runs them."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from http_script import scripted
from incident_alerts import alert, at

from inferwatch_streams.errors import ActionFailedError, ConfigurationError
from inferwatch_streams.incidents import runner as runner_module
from inferwatch_streams.incidents.actions.scale_up import scale_up
from inferwatch_streams.incidents.actions.webhook import WarRoom, Webhook
from inferwatch_streams.incidents.changes import opened
from inferwatch_streams.incidents.policy import Action, Policy
from inferwatch_streams.incidents.response_action import (
    Context,
    Outcome,
    ResponseAction,
    Surroundings,
    made,
)
from inferwatch_streams.incidents.runner import Result, Runner

if TYPE_CHECKING:
    from pathlib import Path

INCIDENT = opened(Policy(), alert(severity="critical"), at(0))
CONTEXT = Context(INCIDENT, (alert(),), at(10))
AROUND = Surroundings({"HOOK": "x"}, "scale_up")
#: As a team's own action may make one, which nobody checks.
ODD: Any = Outcome


async def _at_once(_: float) -> None:
    """Wait for nothing between attempts."""


def run(action: ResponseAction, **configured: Any) -> Result:
    """What comes of an action."""
    given = {"name": "scale_up", "uses": "webhook", "timeout": 5_000_000, **configured}
    runner = Runner({"scale_up": action}, sleep=_at_once)
    return asyncio.run(runner.run(Action(**given), CONTEXT))


def hook(url: str, **options: Any) -> Webhook:
    """A webhook."""
    return Webhook({"url": url, **options}, AROUND)


def test_webhook_posts_the_incident() -> None:
    """A webhook posts the incident, with a key by which a second one is known."""
    with scripted((200, {})) as script:
        result = run(hook(f"{script.url}/scale", headers={"X-Team": "ml"}))
    assert result.outcome == Outcome("posted, answered 200.")
    (asked,) = script.asked
    assert (asked.method, asked.path, asked.headers["X-Team"]) == ("POST", "/scale", "ml")
    assert asked.headers["Idempotency-Key"] == f"{INCIDENT.incident_id}/scale_up"
    assert asked.body["incident"]["services"] == ["chat"]


def test_war_room_speaks_slack() -> None:
    """A channel's webhook gets a text and nothing else."""
    with scripted((200, b"ok")) as script:
        run(WarRoom({"url": script.url}, AROUND))
    assert [*script.asked[0].body] == ["text"]
    assert INCIDENT.incident_id in script.asked[0].body["text"]


def test_tried_again_until_it_is_done() -> None:
    """What was not taken up is tried again, and is done."""
    with scripted((503, {}), (429, {}), (200, {})) as script:
        result = run(hook(script.url), retries=2)
    assert (result.outcome is not None, result.attempts, len(script.asked)) == (True, 3, 3)


def test_given_up() -> None:
    """After so many attempts it has failed."""
    with scripted((503, {"why": "full"})) as script:
        result = run(hook(script.url), retries=1)
    assert (result.outcome, result.attempts, len(script.asked)) == (None, 2, 2)
    assert "503" in result.error


def test_refused_is_not_tried_again() -> None:
    """What is refused for good is asked once."""
    with scripted((403, {})) as script:
        assert run(hook(script.url), retries=5).attempts == 1


@pytest.mark.parametrize(("idempotent", "attempts"), [(False, 1), (True, 3)])
def test_unknown_is_tried_again_only_if_idempotent(idempotent: bool, attempts: int) -> None:  # noqa: FBT001
    """After an error of the server it may have been done: only what bears it is done again."""
    with scripted((500, {})) as script:
        result = run(hook(script.url, idempotent=idempotent), retries=2)
    assert (result.attempts, len(script.asked)) == (attempts, attempts)
    assert ("may have been done" in result.error) is not idempotent


def test_hanging_is_left_alone() -> None:
    """An endpoint that hangs costs the time limit, and is asked once."""
    with scripted(None) as script:
        result = run(hook(script.url), timeout=100_000, retries=3)
        assert len(script.asked) == 1
    assert (result.outcome, result.attempts) == (None, 1)
    assert result.error.startswith("no answer within 0.1 s.")


def test_nobody_listens() -> None:
    """Where no connection is made nothing was done, and it is tried again."""
    with scripted((200, {})) as script:
        url = script.url
    assert run(hook(url), retries=1).attempts == 2


# --- Kubernetes ---

SCALE = "/apis/apps/v1/namespaces/prod/deployments/chat/scale"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A service account's token."""
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    return file


def scaler(api: str, token: Path, **options: Any) -> Any:
    """An action that scales chat in prod."""
    return scale_up(
        {"name": "chat", "namespace": "prod", "api": api, "token_file": str(token), **options},
        AROUND,
    )


def test_kubernetes_scale(token: Path) -> None:
    """It reads the scale, patches it as the service account, and says how to take that back."""
    with scripted((200, {"spec": {"replicas": 3}})) as script:
        result = run(scaler(script.url, token, add=2))
    assert result.outcome == Outcome(
        "scaled deployments/chat in prod from 3 to 5.", undo='{"from": 3, "to": 5}'
    )
    got, patched = script.asked
    assert (got.method, got.path, patched.method, patched.path) == ("GET", SCALE, "PATCH", SCALE)
    assert patched.body == {"spec": {"replicas": 5}}
    assert patched.headers["Content-Type"] == "application/merge-patch+json"
    assert {each.headers["Authorization"] for each in script.asked} == {"Bearer s3cret"}


def test_kubernetes_most(token: Path) -> None:
    """It never goes beyond the most, and leaves alone what is there already."""
    with scripted((200, {"spec": {"replicas": 8}})) as script:
        result = run(scaler(script.url, token, add=5, max=8))
    assert result.outcome == Outcome("deployments/chat in prod has 8 replicas already.")
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("now", "methods", "told"),
    [
        (5, ["GET", "PATCH"], "back to 3"),
        (3, ["GET"], "has 3 replicas already"),
        (9, ["GET"], "scaled to 9 since"),
    ],
)
def test_kubernetes_undo(token: Path, now: int, methods: list[str], told: str) -> None:
    """It scales back what it scaled, and only that."""
    with scripted((200, {"spec": {"replicas": now}})) as script:
        text = scaler(script.url, token, add=2).undo(CONTEXT, json.dumps({"from": 3, "to": 5}))
    assert [each.method for each in script.asked] == methods
    assert told in text
    assert script.asked[-1].body in (None, {"spec": {"replicas": 3}})


def test_kubernetes_lost_answer(token: Path) -> None:
    """Adding is not done again where the answer to the patch was lost; setting a number is."""
    for options, asked in (({"add": 1}, 2), ({"replicas": 9}, 6)):
        answers = [(200, {"spec": {"replicas": 3}}), (500, {})] * 3
        with scripted(*answers) as script:
            assert run(scaler(script.url, token, **options), retries=2).outcome is None
        assert len(script.asked) == asked


def test_kubernetes_without_token(tmp_path: Path) -> None:
    """Without a token it fails, and asks nobody."""
    with scripted((200, {})) as script:
        result = run(scaler(script.url, tmp_path / "none", add=1), retries=0)
    assert "no token" in result.error
    assert script.asked == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "ftp://x"},
        {"url_env": "NOT_SET"},
        {"url_file": "/not/there"},
        {"url": "http://x", "shape": "teams"},
        {"name": "chat", "namespace": "prod", "api": "http://x"},
        {"name": "chat", "namespace": "prod", "api": "http://x", "add": 0},
        {"name": "chat", "namespace": "prod", "api": "http://x", "add": 1, "replicas": 2},
        {"name": "chat", "add": 1},
        {"name": "chat", "namespace": "prod", "add": 1},
    ],
)
def test_bad_options(options: dict[str, Any]) -> None:
    """Options that cannot be are refused when the action is made."""
    with pytest.raises(ConfigurationError):
        scale_up(options, AROUND)


def test_found_by_entry_point() -> None:
    """Ours are found by name, and what is not there is told with what is."""
    for name, options in {
        "collect_logs": {},
        "gather_metrics": {},
        "notify_team": {"targets": ["team"]},
        "open_circuit": {"minutes": 5},
        "war_room": {"url": "http://x"},
    }.items():
        action = made(name, options, Surroundings({}, name))
        assert action.name == name
    with pytest.raises(ConfigurationError, match=r"no response action 'pray'.*collect_logs"):
        made("pray", {}, AROUND)
    with pytest.raises(ConfigurationError, match="minutes"):
        made("open_circuit", {"minutes": -1}, AROUND)


# --- the runner, with actions of a team's own ---


@dataclass
class Own:
    """An action that does what a test says."""

    does: Any
    name: str = "scale_up"
    changes: bool = False
    idempotent: bool = False
    runs: list[int] = field(default_factory=list)

    def run(self, _: Context) -> Outcome:
        """Do it."""
        self.runs.append(threading.get_ident())
        if isinstance(self.does, BaseException):
            raise self.does
        return Outcome(str(self.does))


@pytest.mark.parametrize("error", [RuntimeError("broken"), StopIteration(), SystemExit(3)])
def test_whatever_it_raises(error: BaseException) -> None:
    """Whatever an action raises has failed, perhaps after it was done, and the worker goes on."""
    action = Own(error)
    result = run(action, retries=3)
    assert (result.outcome, result.attempts) == (None, 1)
    assert "may have been done" in result.error


def test_failed_before_anything() -> None:
    """What says that it has done nothing is tried again."""
    action = Own(ActionFailedError("later"))
    assert run(action, retries=2).attempts == 3


def test_own_thread() -> None:
    """An action does not run in the thread of the event loop."""
    action = Own("done")
    assert run(action).outcome == Outcome("done")
    assert action.runs[0] != threading.get_ident()


def test_dry_run_by_default_of_what_changes() -> None:
    """What changes something only says what it would do, unless the file says otherwise."""
    runner = Runner({"a": Own("x", changes=True), "b": Own("x")})
    said = {
        (name, dry): runner.dry_run(Action(name=name, uses=name, dry_run=dry))
        for name in ("a", "b")
        for dry in (None, True, False)
    }
    assert [key for key, dry in said.items() if dry] == [("a", None), ("a", True), ("b", True)]
    plan = asyncio.run(runner.plan(Action(name="a", uses="own"), CONTEXT))
    assert plan == "would run own"


def test_measured_before() -> None:
    """What changes something is measured before it runs, by the role's meter."""
    asked: list[tuple[Any, ...]] = []

    def meter(*question: Any) -> float:
        asked.append(question)
        return 0.25

    runner = Runner({"scale_up": Own("x", changes=True)}, meter)
    result = asyncio.run(runner.run(Action(name="scale_up", uses="x"), CONTEXT))
    assert result.before == 0.25
    assert asked == [("error_rate", ("chat",), at(10 - 120), at(10))]


@pytest.mark.parametrize(
    "returned",
    [
        None,
        "done",
        {"result": 1},
        ODD("x", undo={"a": 1}),
        ODD("x", targets=(5,)),
        ODD("x", targets=5),
    ],
)
def test_whatever_it_returns(returned: Any) -> None:
    """What is no outcome has failed, perhaps after it was done: once, and not for ever."""
    action = Own("x", idempotent=True)
    action.run = lambda _: returned  # type: ignore[method-assign]  # this is what is tried
    result = run(action, retries=3)
    assert (result.outcome, result.attempts) == (None, 1)
    assert "no Outcome" in result.error


def test_an_undo_that_is_too_long_is_not_kept() -> None:
    """The incident's record has to hold it."""
    action = Own("x")
    action.run = lambda _: Outcome("done", undo="u" * 5000)  # type: ignore[method-assign]  # likewise
    outcome = run(action).outcome
    assert outcome is not None
    assert (outcome.undo, "cannot be undone" in outcome.result) == (None, True)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much", [1]])
def test_what_is_no_number_is_not_measured(value: Any) -> None:
    """It says nothing of whether an action helped, and fails nobody."""
    runner = Runner({"scale_up": Own("x", changes=True)}, lambda *_: value)
    assert asyncio.run(runner.measure(Action(name="scale_up", uses="x"), CONTEXT)) is None


def test_not_tried_again_where_it_is_not_wanted() -> None:
    """As the incident is over meanwhile."""
    action = Own(ActionFailedError("later."))
    runner = Runner({"scale_up": action}, sleep=_at_once)
    configured = Action(name="scale_up", uses="x", retries=5)
    result = asyncio.run(runner.run(configured, CONTEXT, lambda: False))
    assert (len(action.runs), result.error) == (1, "later. It is not wanted any more.")


def test_addresses_are_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Neither by the log of the client nor by an answer that repeats them."""
    with caplog.at_level(logging.DEBUG), scripted((404, b"Cannot POST /hooks/hush-hush")) as script:
        result = run(hook(f"{script.url}/hooks/hush-hush", headers={"Authorization": "hush-tok"}))
        assert [each.path for each in script.asked] == ["/hooks/hush-hush"]
    assert "404" in result.error
    assert "hush" not in result.error + caplog.text
    with pytest.raises(ConfigurationError) as caught:
        hook("http://hooks.example:hush/x")
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(Surroundings({"TOKEN": "hush"}, "x"))


def test_a_war_room_calls_nobody_whom_a_label_names() -> None:
    """Slack reads <!channel> in a text as a call to all."""
    incident = opened(Policy(), alert(summary="<!channel> & <https://evil|here>"), at(0))
    with scripted((200, b"ok")) as script:
        WarRoom({"url": script.url}, AROUND).run(Context(incident, (), at(1)))
    text = script.asked[0].body["text"]
    assert "&lt;!channel&gt; &amp; &lt;https://evil|here&gt;" in text


def test_one_that_never_returns_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many of its attempts are left alone; then it is begun no more, and others still are."""
    monkeypatch.setattr(runner_module, "MAX_LEFT_ALONE", 2)
    over = threading.Event()
    hangs, works = Own("x", name="hangs", idempotent=True), Own("done", name="works")
    hangs.run = lambda _: Outcome(str(over.wait(20.0)))  # type: ignore[method-assign]  # it never returns
    runner = Runner({"hangs": hangs, "works": works}, sleep=_at_once)

    async def go() -> None:
        hanging = Action(name="hangs", uses="x", timeout=10_000, retries=5)
        assert "2 attempts have not ended yet" in (await runner.run(hanging, CONTEXT)).error
        assert (await runner.run(Action(name="works", uses="x"), CONTEXT)).outcome is not None
        over.set()

    asyncio.run(go())
