"""Response actions whose worker ends while they run: done again, told as failed, or given up."""

from __future__ import annotations

import asyncio
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st
from incident_alerts import at, command
from responding_world import Own, World, world

from inferwatch_streams.incidents.responder import INTERRUPTED, given_up
from inferwatch_streams.incidents.responding import begun

MOST: Final = 3
"""Attempts of an action: two retries."""


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


async def killed(here: World, action: Own) -> None:
    """Let a worker begin what is to be done, and end it in the midst of it."""
    before = len(action.done)
    action.gate.clear()
    await here.responder.look()
    async with asyncio.timeout(10.0):
        while here.responder.busy and len(action.done) == before:  # noqa: ASYNC110  # its thread is its own
            await asyncio.sleep(0.0005)
    here.responder.stop()
    await here.live()
    action.gate.set()


def test_what_ends_its_workers_is_given_up() -> None:
    """It is begun as often as it may be tried, by whichever workers, and no more until approved."""

    async def go() -> None:
        action, next_one = Own("a", idempotent=True), Own("b")
        here = world(action, next_one)
        await here.live()
        await here.open()
        for _ in range(MOST):
            await killed(here, action)
        await here.look()
        assert (len(action.done), here.status("b")) == (MOST, "succeeded")
        state = here.state("a")
        assert (state.status, state.attempts, state.result) == ("failed", MOST, given_up(MOST))
        assert f"a failed: {given_up(MOST)}" in [line.text for line in here.incident.timeline]
        approve = command("approve", here.incident.incident_id, 5, response_action="a")
        await here.ledger.write(here.ledger.incidents.command(approve))
        await here.look()
        assert (here.status("a"), here.state("a").attempts) == ("succeeded", 1)

    asyncio.run(go())


def test_attempts_of_ended_workers_count() -> None:
    """One that fails after workers ended is tried only as often as is left."""

    async def go() -> None:
        action = Own("a", idempotent=True, fails=True)
        here = world(action)
        await here.live()
        await here.open()
        await killed(here, action)
        await here.look()
        assert (here.status("a"), here.state("a").attempts) == ("failed", MOST)
        assert len(action.done) == MOST

    asyncio.run(go())


def test_an_undo_that_ends_its_workers_is_given_up() -> None:
    """Likewise; whoever wants it again has it tried as often once more."""

    async def go() -> None:
        action = Own("a", changes=True)
        here = world(action)
        await here.live()
        await here.open()
        await here.look()
        action.undo_hangs = True
        for time in (5, 6):
            undo = command("undo", here.incident.incident_id, time, response_action="a")
            await here.ledger.write(here.ledger.incidents.command(undo))
            await here.ledger.settle()
            before = len(action.done)
            for _ in range(MOST):
                await killed(here, action)
            await here.look()
            assert action.done[before:] == ["undo token"] * MOST
            state = here.state("a")
            assert (state.status, state.attempts, state.undo) == ("failed", MOST, "token")
            assert (state.result or "").endswith(given_up(MOST))

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
            over = (INTERRUPTED, given_up(MOST))
            assert state.status == "succeeded" or state.result == over[action.idempotent]
            assert len(action.done) <= (MOST if action.idempotent else 1)
            assert state.status != "succeeded" or action.done

    asyncio.run(go())
