"""Channels side by side: retries, limits of time, dead letters, and none that delays another."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from notices import notice, origin
from odd_endpoint import OddEndpoint, Reply, answering, hanging, serving
from prometheus_client import REGISTRY

from inferwatch_streams.notifications import retrying
from inferwatch_streams.notifications.configuration import read_configuration
from inferwatch_streams.notifications.dispatch import Dispatch
from inferwatch_streams.notifications.message import FAILED, REFUSED, Answer
from inferwatch_streams.notifications.notice import INCIDENT, RESOLVED, UPDATED, Notice
from inferwatch_streams.notifications.retrying import seconds_to_next
from inferwatch_streams.notifications.undelivered import Undelivered

KEY = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
SECONDS = 20.0
FINE = answering(200, "ok")


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a hundredth between attempts."""
    monkeypatch.setattr(retrying, "BASE_SECONDS", 0.01)


@dataclass
class Letters:
    """In place of ``Undelivered``: what was buried."""

    buried: list[tuple[str, str, str, int]] = field(default_factory=list)

    async def bury(self, channel: str, of: Notice, answer: Answer, attempts: int) -> None:
        """See ``Undelivered``."""
        await asyncio.sleep(0)
        self.buried.append((channel, of.notice_id, answer.status, attempts))


@dataclass
class Told:
    """A dispatch under test, its letters, and its endpoints by channel."""

    dispatch: Dispatch
    letters: Letters
    endpoints: dict[str, OddEndpoint]

    def ids(self, channel: str) -> list[str]:
        """Return the ids of what a channel was sent, copies too."""
        return [
            line.split(":")[1].strip()
            for head, _ in self.endpoints[channel].requests
            for line in head.splitlines()
            if line.startswith("webhook-id:")
        ]

    def take(self, *notices: Notice, maybe_told: bool = False) -> None:
        """Take notices in."""
        for one in notices:
            self.dispatch.take(one, maybe_told=maybe_told)

    @property
    def unsettled(self) -> list[str]:
        """What is neither told nor buried."""
        return [one.notice_id for _, one in self.dispatch.unsettled()]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Send what is due until a condition holds."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                self.dispatch.send_due()
                await asyncio.sleep(0.005)


@asynccontextmanager
async def telling(folder: Path, options: str = "", **replies: list[Reply]) -> AsyncIterator[Told]:
    """Dispatch to one webhook for each list of replies."""
    endpoints, environment, lines = {}, {"KEY": KEY}, ["channels:"]
    async with AsyncExitStack() as stack:
        for name, given in replies.items():
            endpoints[name] = await stack.enter_async_context(serving(*given))
            environment[name.upper()] = endpoints[name].url
            lines.append(
                f"  {name}: {{type: webhook, url: {{env: {name.upper()}}}, "
                f"signing_secret: {{env: KEY}}, {options} timeout: 5s}}"
            )
        lines.append(f"routes: [{{channels: [{', '.join(replies)}]}}]")
        path = folder / "n.yaml"
        path.write_text("\n".join(lines), encoding="utf-8")
        letters = Letters()
        configuration = read_configuration(path, environment)
        dispatch = Dispatch(configuration, cast("Undelivered", letters))
        stack.push_async_callback(dispatch.close)
        yield Told(dispatch, letters, endpoints)


def test_one_that_hangs_delays_no_other(tmp_path: Path) -> None:
    """And what it was not told keeps the offset."""

    async def case() -> None:
        async with telling(tmp_path, hung=[hanging], fine=[FINE]) as told:
            told.take(notice("a"), notice("a", RESOLVED, 2), notice("b"))
            told.take(notice("b", RESOLVED, 2))
            told.take(notice("c"))
            await told.until(lambda: told.ids("fine") == ["c-firing-1"])
            told.take(notice("c", RESOLVED, 2))
            await told.until(lambda: told.ids("fine") == ["c-firing-1", "c-resolved-2"])
            await told.until(lambda: told.ids("hung") == ["c-firing-1"])
            # A request comes before its answer has arrived.
            await told.until(lambda: told.unsettled == ["c-firing-1", "c-resolved-2"])

    asyncio.run(case())


def test_what_fails_is_tried_again_in_order_under_its_id(tmp_path: Path) -> None:
    """A resolve waits until its firing has arrived."""

    async def case() -> None:
        replies = [answering(500), answering(502, "<html>"), answering(500), FINE]
        async with telling(tmp_path, hook=replies) as told:
            told.take(notice("a"))
            await told.until(lambda: len(told.ids("hook")) >= 2)
            told.take(notice("a", RESOLVED, 2))
            await told.until(lambda: not told.unsettled)
            assert told.ids("hook") == ["a-firing-1"] * 4 + ["a-resolved-2"]
            bodies = [body for _, body in told.endpoints["hook"].requests]
            assert len(set(bodies[:4])) == 1
            assert told.letters.buried == []

    asyncio.run(case())


def test_a_channel_that_asks_to_wait_is_left_alone(tmp_path: Path) -> None:
    """Also with what else it is to be told."""

    def refusals() -> float:
        name = "inferwatch_notification_attempts_total"
        return REGISTRY.get_sample_value(name, {"channel": "hook", "status": "429"}) or 0.0

    async def case() -> None:
        replies = [answering(429, "", "Retry-After: 1"), FINE]
        async with telling(tmp_path, hook=replies) as told:
            told.take(notice("a"))
            before, began = refusals(), time.monotonic()
            await told.until(lambda: refusals() > before)
            told.take(notice("b", group="b"))
            await told.until(lambda: "b-firing-1" in told.ids("hook"))
            assert time.monotonic() - began >= 1.0
            await told.until(lambda: not told.unsettled)
            assert sorted(told.ids("hook")) == ["a-firing-1", "a-firing-1", "b-firing-1"]

    asyncio.run(case())


def test_what_cannot_succeed_is_buried_at_once(tmp_path: Path) -> None:
    """After one attempt; its offset is free."""

    async def case() -> None:
        async with telling(tmp_path, hook=[answering(400, "bad")]) as told:
            told.take(notice("a", origin=origin()))
            await told.until(lambda: not told.unsettled)
            assert told.letters.buried == [("hook", "a-firing-1", "400", 1)]
            assert len(told.ids("hook")) == 1

    asyncio.run(case())


def test_what_does_not_succeed_in_time_is_buried(tmp_path: Path) -> None:
    """After several attempts; and at once where the channel asks for more time than there is."""

    async def case() -> None:
        options = "give_up_after: 600ms,"
        busy = [answering(429, "", "Retry-After: 3600")]
        async with telling(tmp_path, options, bad=[answering(500)], busy=busy) as told:
            told.take(notice("a"))
            await told.until(lambda: not told.unsettled)
            letters = {letter[0]: letter[1:] for letter in told.letters.buried}
            assert letters["busy"] == ("a-firing-1", "429", 1)
            assert letters["bad"][:2] == ("a-firing-1", "500")
            assert letters["bad"][2] >= 2

    asyncio.run(case())


def test_an_incident_for_a_channel_that_is_not_there_is_buried(tmp_path: Path) -> None:
    """The others that it names are told."""

    async def case() -> None:
        async with telling(tmp_path, hook=[FINE]) as told:
            told.take(notice("i", kind=INCIDENT, channels=("gone", "hook")))
            await told.until(lambda: not told.unsettled)
            assert told.letters.buried == [("gone", "i-firing-1", "not_configured", 0)]
            assert told.ids("hook") == ["i-firing-1"]
            # What is news to others is not told; that it is over is, whoever it names then.
            told.take(notice("i", UPDATED, kind=INCIDENT), notice("i", RESOLVED, kind=INCIDENT))
            await told.until(lambda: not told.unsettled)
            assert told.ids("hook") == ["i-firing-1", "i-resolved-1"]

    asyncio.run(case())


def test_what_may_be_a_copy_is_counted(tmp_path: Path) -> None:
    """As a worker before this one may have told it and died."""

    def copies() -> float:
        name = "inferwatch_notifications_copies_possible_total"
        return REGISTRY.get_sample_value(name, {"channel": "hook"}) or 0.0

    async def case() -> None:
        async with telling(tmp_path, hook=[FINE]) as told:
            before = copies()
            told.take(
                notice("a"), notice("a", RESOLVED, 2), notice("b", muted=True), maybe_told=True
            )
            told.take(notice("c"))
            await told.until(lambda: not told.unsettled)
            assert sorted(told.ids("hook")) == ["a-firing-1", "a-resolved-2", "c-firing-1"]
            assert copies() - before == 2.0
            # What is recorded as told is not sent, and so is no copy.
            told.dispatch.take(notice("d"), maybe_told=True, told=lambda name: name == "hook")
            told.take(notice("d", RESOLVED, 2))
            await told.until(lambda: "d-resolved-2" in told.ids("hook") and not told.unsettled)
            assert "d-firing-1" not in told.ids("hook")
            assert copies() - before == 2.0

    asyncio.run(case())


def test_what_was_told_before_is_not_told_and_its_end_is(tmp_path: Path) -> None:
    """After a restart, from the log alone; also where another route has it meanwhile."""

    async def case() -> None:
        async with telling(tmp_path, hook=[FINE]) as told:
            told.dispatch.restore(notice("a"))
            told.dispatch.restore(notice("b"))
            told.dispatch.restore(notice("b", RESOLVED, 2))
            told.dispatch.restore(notice("c", muted=True))
            told.take(notice("a"), *(notice(one, RESOLVED, 2) for one in "abc"))
            await told.until(lambda: not told.unsettled)
            assert told.ids("hook") == ["a-resolved-2"]
            event = json.loads(told.endpoints["hook"].requests[0][1])
            assert event["type"] == "alert.resolved"
            told.take(notice("d"))
            await told.dispatch.reset()
            assert told.unsettled == []

    asyncio.run(case())


def test_the_next_attempt_is_in_time_or_not_at_all() -> None:
    """Twice as late at most each time, up to half a minute, and never before what is asked for."""
    failed, asked = Answer(FAILED, "500"), Answer(FAILED, "429", wait_seconds=5.0)
    most = [seconds_to_next(failed, n, 1e9, lambda _, high: high) for n in (1, 2, 3, 60)]
    assert most == [0.02, 0.04, 0.08, min(30.0, 0.01 * 2**16)]
    assert seconds_to_next(asked, 1, 6.0, lambda low, _: low) == 5.0
    assert seconds_to_next(asked, 1, 4.0, lambda low, _: low) is None
    assert seconds_to_next(Answer(REFUSED, "400"), 1, 1e9, lambda low, _: low) is None
