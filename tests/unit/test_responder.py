"""The responder: each action once, in order, whatever ends in between; checked and undone."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from incident_alerts import alert, at, command

from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder, decode
from inferwatch_streams.incidents.incident import Incident
from inferwatch_streams.incidents.ledger import Ledger
from inferwatch_streams.incidents.policy import PRIORITIES, Action, Policy
from inferwatch_streams.incidents.responder import INTERRUPTED, Responder
from inferwatch_streams.incidents.responding import begun
from inferwatch_streams.incidents.response_action import Context, Outcome
from inferwatch_streams.incidents.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY = PinnedRegistry()
ENCODER = Encoder("incident", REGISTRY)


@dataclass
class Topic:
    """A state topic in memory: what was not settled may be gone after a crash."""

    kept: dict[str, bytes] = field(default_factory=dict)
    _open: dict[str, bytes] = field(default_factory=dict)

    async def take_over(self) -> list[Any]:
        """The state."""
        self._open = {}
        return [SimpleNamespace(record=decode(each, REGISTRY)) for each in self.kept.values()]

    def append(self, key: str, _: str, record: dict[str, Any]) -> None:
        """Write a state."""
        self._open[key] = ENCODER.encode(record)

    async def settle(self) -> None:
        """Keep what was written."""
        self.kept.update(self._open)
        self._open = {}


@dataclass
class Own:
    """An action that counts."""

    name: str
    changes: bool = False
    idempotent: bool = False
    done: list[str] = field(default_factory=list)
    fails: bool = False
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def run(self, context: Context) -> Outcome:
        """Count."""
        self.done.append(f"run {context.incident.incident_id}")
        self.gate.wait()
        if self.fails:
            raise RuntimeError("broken")
        return Outcome("done", undo="token" if self.changes else None)

    def undo(self, _: Context, token: str) -> str:
        """Count that, too."""
        self.done.append(f"undo {token}")
        return "taken back"


class World:
    """A role's ledger and responder, with a clock that a test moves."""

    def __init__(self, policy: Policy, actions: Mapping[str, Own], values: list[float]) -> None:
        self.policy, self.actions, self.values = policy, actions, values
        self.topic = Topic()
        self.seconds = 1.0

    def _meter(self, *_: Any) -> float | None:
        return self.values.pop(0) if self.values else None

    async def live(self) -> None:
        """Start a worker."""
        # What a former one had begun runs on in its thread, and can write no more.
        self.ledger = Ledger(self.policy, self.topic)  # type: ignore[arg-type]  # as much of it as is used
        await self.ledger.take_over()
        self.responder = Responder(
            self.policy,
            self.ledger,
            Runner(self.actions, self._meter, _at_once),
            asyncio.Lock(),
            lambda: at(self.seconds),
        )

    async def open(self, **given: Any) -> Incident:
        """Open an incident."""
        await self.ledger.write(self.ledger.incidents.alert(alert(**given)))
        await self.ledger.settle()
        return self.incident

    @property
    def incident(self) -> Incident:
        """The first incident."""
        return next(iter(self.ledger.incidents))

    async def look(self, times: int = 20) -> None:
        """Let the responder do what is to be done, each to its end."""
        for _ in range(times):
            await self.responder.look()
            while self.responder.busy:  # noqa: ASYNC110  # its jobs are its own
                await asyncio.sleep(0.001)

    def status(self, name: str) -> str:
        """Of an action."""
        found = self.incident.action(name)
        assert found is not None
        return found.status


async def _at_once(_: float) -> None:
    """Wait for nothing."""


def world(*actions: Own, values: list[float] | None = None, **given: Any) -> World:
    """A world whose incidents have these actions, none a dry run."""
    configured = {
        each.name: Action(name=each.name, uses=each.name, dry_run=False) for each in actions
    }
    configured = {name: replace(each, **given.get(name, {})) for name, each in configured.items()}
    policy = Policy(
        actions=configured,
        sets=dict.fromkeys(PRIORITIES, tuple(configured)),
        actions_per_hour=given.get("per_hour", 60),
    )
    return World(policy, {each.name: each for each in actions}, values or [])


def test_once_and_in_order() -> None:
    """Actions run once, one after the other; one that fails keeps the next from nothing."""

    async def go() -> None:
        first, second = Own("first", fails=True), Own("second")
        here = world(first, second)
        await here.live()
        await here.open()
        await here.look()
        await here.live()
        await here.look()
        assert (len(first.done), len(second.done)) == (1, 1)
        assert (here.status("first"), here.status("second")) == ("failed", "succeeded")
        lines = [line.text for line in here.incident.timeline if line.kind == "action"]
        assert [line.split()[0] for line in lines] == ["first", "first", "second", "second"]

    asyncio.run(go())


def test_dry_run() -> None:
    """A dry run says what would be done, and does nothing."""

    async def go() -> None:
        action = Own("scale", changes=True)
        here = world(action, scale={"dry_run": None})
        await here.live()
        await here.open()
        await here.look()
        assert (here.status("scale"), action.done) == ("dry_run", [])

    asyncio.run(go())


def test_limit_per_hour() -> None:
    """Beyond the limit over all incidents an action is skipped, and an hour later it is not."""

    async def go() -> None:
        action = Own("a")
        here = world(action, per_hour=1)
        await here.live()
        for number, seconds in enumerate((1.0, 60.0, 3700.0)):
            here.seconds = seconds
            await here.open(seconds=seconds, labels={"service": f"s{number}"})
            await here.look()
        states = [each.actions[0].status for each in here.ledger.incidents]
        assert states == ["succeeded", "skipped", "succeeded"]

    asyncio.run(go())


def test_approval() -> None:
    """What needs approval waits for it, and others do not wait with it."""

    async def go() -> None:
        scale, other = Own("scale"), Own("other")
        here = world(scale, other, scale={"approval": True})
        await here.live()
        opened = await here.open()
        await here.look()
        assert (scale.done, len(other.done)) == ([], 1)
        given = command("approve", opened.incident_id, 2, response_action="scale")
        await here.ledger.write(here.ledger.incidents.command(given))
        await here.look()
        assert here.status("scale") == "succeeded"

    asyncio.run(go())


def test_undone_where_it_did_not_help() -> None:
    """After a while it is measured; what did not help is undone, what helped stays."""

    async def go(after: float, status: str, done: int) -> None:
        action = Own("scale", changes=True)
        here = world(action, values=[0.5, after])
        await here.live()
        await here.open()
        await here.look()
        assert here.status("scale") == "succeeded"
        here.seconds += 301
        await here.look()
        state = here.incident.action("scale")
        assert state is not None
        assert (state.status, len(action.done)) == (status, done)
        assert (state.value_before, state.value_after) == (0.5, after)

    asyncio.run(go(0.45, "undone", 2))
    asyncio.run(go(0.1, "succeeded", 1))


def test_undo_by_hand() -> None:
    """Somebody may have an action undone, also when the incident is over."""

    async def go() -> None:
        action = Own("scale", changes=True)
        here = world(action, values=[0.5])
        await here.live()
        opened = await here.open()
        await here.look()
        for order in (
            command("resolve", opened.incident_id, 2),
            command("undo", opened.incident_id, 3, response_action="scale"),
        ):
            await here.ledger.write(here.ledger.incidents.command(order))
        await here.look()
        assert (here.status("scale"), action.done[-1]) == ("undone", "undo token")

    asyncio.run(go())


def test_resolved_runs_no_more() -> None:
    """What had not begun when an incident ended is skipped."""

    async def go() -> None:
        action = Own("a")
        here = world(action)
        await here.live()
        opened = await here.open()
        given = command("resolve", opened.incident_id, 2)
        await here.ledger.write(here.ledger.incidents.command(given))
        await here.look()
        assert (here.status("a"), action.done) == ("skipped", [])

    asyncio.run(go())


def test_what_was_interrupted_is_not_done_again_after_the_end() -> None:
    """An incident that is over needs nothing, nor one whose action is a dry run now."""

    async def go(*, dry: bool) -> None:
        action = Own("a", changes=True, idempotent=True)
        here = world(action)
        await here.live()
        await here.open()
        action.gate.clear()
        await here.responder.look()
        while not action.done:  # noqa: ASYNC110  # its thread is its own
            await asyncio.sleep(0.001)
        here.responder.stop()
        if dry:
            here.policy = world(action, a={"dry_run": True}).policy
        else:
            await here.ledger.write(
                here.ledger.incidents.command(command("resolve", here.incident.incident_id))
            )
            await here.ledger.settle()
        await here.live()
        action.gate.set()
        await here.look()
        state = here.incident.action("a")
        assert state is not None
        assert (state.status, state.result, len(action.done)) == ("failed", INTERRUPTED, 1)

    asyncio.run(go(dry=False))
    asyncio.run(go(dry=True))


def test_one_that_was_interrupted_was_counted() -> None:
    """The limit of an hour is of what begins; one that is done again began already."""

    async def go() -> None:
        action = Own("a", idempotent=True)
        here = world(action, per_hour=1)
        await here.live()
        await here.open()
        await here.ledger.write([begun(here.incident, "a", at(2))])
        await here.ledger.settle()
        await here.live()
        await here.look()
        assert (here.status("a"), len(action.done)) == ("succeeded", 1)

    asyncio.run(go())


def test_a_measurement_in_vain_keeps_nothing_waiting() -> None:
    """It is tried again later, and what somebody approves meanwhile runs at once."""

    async def go() -> None:
        first, second = Own("a", changes=True), Own("b")
        here = world(first, second, values=[0.5], b={"approval": True})
        await here.live()
        await here.open()
        await here.look()
        here.seconds = 400.0
        async with asyncio.timeout(10.0):
            await here.look()
        approve = command("approve", here.incident.incident_id, 401, response_action="b")
        await here.ledger.write(here.ledger.incidents.command(approve))
        await here.look()
        assert here.status("b") == "succeeded"
        here.values.append(0.1)
        await here.look()
        state = here.incident.action("a")
        assert state is not None
        assert state.value_after is None
        here.seconds = 431.0
        await here.look()
        state = here.incident.action("a")
        assert state is not None
        assert state.value_after == 0.1

    asyncio.run(go())


def test_what_cannot_be_written_stops_nothing() -> None:
    """A state that does not fit its schema is left out, and the next incident is written."""

    async def go() -> None:
        here = world()
        await here.live()
        bad = replace(await here.open(), acknowledge_by=1 << 62)
        good = replace(bad, incident_id="other", acknowledge_by=bad.opened_at)
        await here.ledger.write([bad, good])
        await here.ledger.settle()
        await here.live()
        assert len(here.ledger.incidents) == 2

    asyncio.run(go())


@given(
    st.lists(st.sampled_from(["before", "during", "after"]), max_size=10),
    st.lists(st.booleans(), min_size=3, max_size=3),
)
@example(["during", "during", "during"], [False, True, False])
@settings(max_examples=40, deadline=None)
def test_at_most_once(ends: list[str], idempotent: list[bool]) -> None:
    """Whenever workers end, what is not idempotent is done at most once, and what is, is done."""

    async def go() -> None:
        actions = [Own(f"a{number}", idempotent=may) for number, may in enumerate(idempotent)]
        here = world(*actions)
        await here.live()
        await here.open()
        for end in ends:
            gates = [each.gate for each in actions]
            for gate in gates:
                gate.set() if end == "after" else gate.clear()
            before = sum(len(each.done) for each in actions)
            await here.responder.look()
            # While it runs: it has begun, and has no result.
            while end != "before" and here.responder.busy:
                if end == "during" and sum(len(each.done) for each in actions) > before:
                    break
                await asyncio.sleep(0.0005)
            here.responder.stop()
            await here.live()
            # What was left alone ends, and what it says is heard by nobody.
            for gate in gates:
                gate.set()
        await here.look()
        for action in actions:
            state = here.incident.action(action.name)
            assert state is not None
            assert state.status == "succeeded" or state.result == INTERRUPTED
            assert action.idempotent or len(action.done) <= 1
            assert not action.idempotent or action.done

    asyncio.run(go())
