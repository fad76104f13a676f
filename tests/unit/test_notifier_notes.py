"""The role and what was committed beside the offset: told by one process, read by the next."""

import asyncio

import pytest
from notices import notice
from prometheus_client import REGISTRY
from telling_role import FIRST, Role, alert

from inferwatch_schemas.topics import ALERTS
from inferwatch_streams.notifications import notifier as module
from inferwatch_streams.notifications.told_note import ToldNote, written


def test_what_was_told_beyond_the_offset_is_told_to_nobody_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next process has it from the note, which stands until what it says is taken in."""

    async def case() -> None:
        role = Role(monkeypatch)
        await role.take(FIRST, alert("a"), alert("b", "pending"), alert("c", "inactive"))
        await role.tick()
        note = role.note
        assert role.floor == FIRST
        assert [ToldNote.read(note, FIRST + 3).told("ops", FIRST + at) for at in range(3)] == [
            False, True, True,
        ]  # fmt: skip
        successor = Role(monkeypatch, end=FIRST + 3)
        successor.channel.free.set()
        successor.assign(note)
        await successor.take(FIRST, alert("a"))
        await successor.tick()
        assert (successor.floor, successor.note) == (FIRST, note)
        await successor.take(FIRST + 1, alert("b"), alert("c"))
        await successor.tick()
        await successor.tick()
        assert successor.channel.told == ["a-firing"]
        assert (successor.floor, successor.note) == (FIRST + 3, "")

    asyncio.run(case())


def test_one_that_dies_before_it_has_read_on_has_told_nothing_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the note says was not needed is, where what came before it was told meanwhile."""

    async def case() -> None:
        # That it ended was owed; that it came and went again was not needed any more.
        note, _ = written({"ops": {FIRST}}, FIRST, FIRST + 3)
        second = Role(monkeypatch, end=FIRST + 3)
        second.before = [notice("a")]
        second.channel.free.set()
        second.assign(note)
        await second.take(FIRST, alert("a", "resolved"), alert("a"))
        for _ in range(9):
            second.now += 5.0
            await second.tick()
        assert second.channel.told == ["a-resolved", "a-firing"]
        third = Role(monkeypatch, end=FIRST + 3)
        third.before = [notice("a")]
        third.channel.free.set()
        third.assign(second.note, second.floor)
        await third.take(
            second.floor,
            *[alert("a", "resolved"), alert("a"), alert("a", "resolved")][second.floor - FIRST :],
        )
        await third.tick()
        assert third.channel.told[-1:] == ["a-resolved"]

    asyncio.run(case())


def test_a_note_survives_that_the_role_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is broken off when it leaves is owed, and the rest is not."""
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.01)

    async def case() -> None:
        role = Role(monkeypatch)
        await role.take(FIRST, alert("a"), alert("b", "inactive"))
        await role.tick()
        await role.notifier.processor.drain()
        told = ToldNote.read(role.note, FIRST + 2)
        assert (told.told("ops", FIRST), told.told("ops", FIRST + 1)) == (False, True)

    asyncio.run(case())


def test_a_note_that_is_none_of_ours_has_all_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted, and stops nothing."""

    def unreadable() -> float:
        name = "inferwatch_notifications_unreadable_notes_total"
        return REGISTRY.get_sample_value(name, {"topic": ALERTS.name}) or 0.0

    async def case() -> None:
        role = Role(monkeypatch, end=FIRST + 1)
        role.channel.free.set()
        before = unreadable()
        role.assign("somebody else's")
        await role.take(FIRST, alert("a"))
        await role.tick()
        await role.tick()
        assert role.channel.told == ["a-firing"]
        assert (role.floor, unreadable() - before) == (FIRST + 1, 1.0)

    asyncio.run(case())
