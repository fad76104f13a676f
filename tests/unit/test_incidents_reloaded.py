"""Another file of incidents while the role runs: what becomes of incidents and of actions."""

import asyncio
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from awaited import until
from prometheus_client import REGISTRY
from responding_world import Own, Topic, world

from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.incidents import incident as states
from inferwatch_streams.incidents import role as module
from inferwatch_streams.incidents.policy import Level, Policy
from inferwatch_streams.incidents.reloading import Decided, PolicyFile
from inferwatch_streams.incidents.role import IncidentsRole
from inferwatch_streams.incidents.runner import Runner
from inferwatch_streams.incidents.settings import IncidentsSettings

SECONDS = 10.0
LEVELS = "escalation: {{levels: [{{targets: [{}]}}]}}\n"


def reloads(outcome: str) -> float:
    """Return how often the file was looked at anew with an outcome."""
    name = "inferwatch_incidents_reloads_total"
    return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0.0


def test_a_file_is_read_again_when_it_was_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that cannot be used is told of with its line and field, once, and the old one stays."""
    path = tmp_path / "incidents.yaml"
    path.write_text("quiet: soon\n", encoding="utf-8")
    with pytest.raises(ConfigurationError):
        PolicyFile(path, {})
    path.write_text(LEVELS.format("on-call"), encoding="utf-8")
    file = PolicyFile(path, {"HOOK": "https://a.example/a"})
    before, refused, reloaded = file.decided, reloads("refused"), reloads("reloaded")
    assert file.look() is None
    path.write_text(
        "actions:\n  war_room: {with: {url_env: NOT_SET, shape: slack}}\n", encoding="utf-8"
    )
    assert (file.look(), file.look(), file.decided) == (None, None, before)
    assert reloads("refused") - refused == 1
    said = capsys.readouterr().out
    assert f"{path}:2: actions.war_room: url_env names NOT_SET, which is not set." in said
    path.unlink()
    assert file.look() is None
    path.write_text(
        "actions: {war_room: {with: {url_env: HOOK, shape: slack}}}\n", encoding="utf-8"
    )
    found = file.look()
    assert found is not None
    assert found is file.decided
    assert found.policy.levels == ()
    assert "war_room" in found.actions
    assert (reloads("refused") - refused, reloads("reloaded") - reloaded) == (2, 1)


def test_without_a_file_the_shipped_policy_holds() -> None:
    """And nothing is looked at."""
    file = PolicyFile(None, {})
    assert file.decided.policy == Policy()
    assert file.decided.actions.keys() == Policy().actions.keys()
    assert file.look() is None


def test_what_waits_is_done_as_it_is_configured_now() -> None:
    """What runs ends as it began, what is configured no more is skipped, and the others go on."""

    async def case() -> None:
        first, gone, last = Own("first"), Own("gone"), Own("last")
        running = world(first, gone, last)
        await running.live()
        await running.open()
        first.gate.clear()
        await running.responder.look()
        await until(lambda: bool(first.done))
        again, changed = Own("first"), Own("last")
        other = world(again, changed)
        running.ledger.change(other.policy)
        running.responder.change(Decided(other.policy, other.actions))
        first.gate.set()
        await until(lambda: not running.responder.busy)
        await running.look()
        assert [running.status(name) for name in ("first", "gone", "last")] == [
            states.SUCCEEDED, states.SKIPPED, states.SUCCEEDED,
        ]  # fmt: skip
        assert [len(each.done) for each in (first, again, gone, last, changed)] == [1, 0, 0, 0, 1]

    asyncio.run(asyncio.wait_for(case(), SECONDS))


def test_what_is_measured_of_an_action_that_is_no_more_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The measurement had begun before."""

    async def case() -> None:
        scales = Own("scales", changes=True)
        running = world(scales, values=[0.5])
        await running.live()
        await running.open()
        await running.look()
        measuring, go = threading.Event(), threading.Event()

        def measure(*_: Any) -> float:
            measuring.set()
            go.wait()
            return 0.1

        monkeypatch.setattr(scales, "measure", measure, raising=False)
        running.seconds += 301
        await running.responder.look()
        await until(measuring.is_set)
        running.responder.change(Decided(Policy(actions={}, sets={}), {}))
        go.set()
        await until(lambda: not running.responder.busy)
        assert running.state("scales").value_after == pytest.approx(0.1)

    asyncio.run(asyncio.wait_for(case(), SECONDS))


def test_a_role_goes_by_the_file_though_it_only_stands_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it leads by it later; and it waits for nothing that takes its time to be made."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    go, decided = threading.Event(), Policy(levels=(Level(("lead",)),), actions={}, sets={})

    def look() -> Decided:
        go.wait()
        return Decided(decided, {"own": Own("own")})

    async def case() -> None:
        runner = Runner({})
        role = IncidentsRole(
            settings=IncidentsSettings(),
            registry=PinnedRegistry(),
            policy=Policy(),
            topic=cast("Any", Topic()),
            runner=runner,
            look=look,
        )
        for _ in range(3):
            await role.act()
        assert runner.action("own") is None
        go.set()
        while runner.action("own") is None:
            await role.act()
            await asyncio.sleep(0.001)
        await role._ledger.take_over()  # noqa: SLF001  # as a leader does that begins
        assert role._ledger.incidents.policy is decided  # noqa: SLF001  # likewise

    asyncio.run(asyncio.wait_for(case(), SECONDS))
