"""The responder: each action once and in order, limited, approved, checked and undone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from incident_alerts import command
from responding_world import Own, world


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
