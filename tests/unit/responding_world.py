"""A worker's responder over a state topic in memory, which a test starts, looks at and ends."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from incident_alerts import alert, at

from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder, decode
from inferwatch_streams.incidents.incident import ActionState, Incident
from inferwatch_streams.incidents.ledger import Ledger
from inferwatch_streams.incidents.policy import PRIORITIES, Action, Policy
from inferwatch_streams.incidents.responder import Responder
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
    undo_hangs: bool = False
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
        if self.undo_hangs:
            self.gate.wait()
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

    def state(self, name: str) -> ActionState:
        """Of an action."""
        found = self.incident.action(name)
        assert found is not None
        return found

    def status(self, name: str) -> str:
        """Of an action."""
        return self.state(name).status


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
