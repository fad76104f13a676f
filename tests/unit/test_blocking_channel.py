"""Channels whose library blocks: apprise, and one that hangs."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from notices import message, notice, words
from odd_endpoint import answering, serving

from inferwatch_streams.notifications.channels import blocking
from inferwatch_streams.notifications.channels.apprise import Apprise
from inferwatch_streams.notifications.channels.blocking import BlockingChannel
from inferwatch_streams.notifications.message import DELIVERED, FAILED, Answer, Message
from inferwatch_streams.notifications.secret import Secret
from inferwatch_streams.notifications.templates import Words

TOLD = message(notice())


@pytest.mark.parametrize(("status", "outcome"), [(200, DELIVERED), (500, FAILED)])
def test_apprise_tells_and_says_whether_it_did(
    status: int, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Title and text, to the service of its URL, which no log shows."""

    async def case() -> None:
        async with serving(answering(status)) as endpoint:
            url = f"json://127.0.0.1:{endpoint.port}/hush"
            channel = BlockingChannel(Apprise(url=Secret(url)), 5.0)
            answer = await channel.send(TOLD, words(TOLD))
            await channel.close()
            assert answer.outcome == outcome
            head, body = endpoint.requests[0]
            assert head.startswith("POST /hush")
            assert b"[FIRING] high: aa fails" in body
            assert b"inferwatch alerts ack aa" in body

    with caplog.at_level(logging.DEBUG):
        asyncio.run(case())
    assert "hush" not in caplog.text


def test_apprise_calls_nobody_whom_a_label_names() -> None:
    """Discord and others read a call to all in plain text."""

    async def case() -> None:
        async with serving(answering(200)) as endpoint:
            url = Secret(f"json://127.0.0.1:{endpoint.port}/x")
            channel = BlockingChannel(Apprise(url=url), 5.0)
            told = message(
                notice(title="@everyone <@42> a@example", description="@here <!channel>")
            )
            await channel.send(told, words(told))
            await channel.close()
            sent = json.loads(endpoint.requests[0][1])
            assert sent["title"].endswith("@\u200beveryone <\u200b@42> a@example")
            assert "@\u200bhere <\u200b!channel>" in sent["message"]

    asyncio.run(case())


def test_one_that_hangs_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And takes no thread of anybody else."""
    monkeypatch.setattr(blocking, "GRACE_SECONDS", 0.0)
    free = threading.Event()

    class Hanging:
        def send(self, message: Message, words: Words) -> Answer:
            """See ``Sender``."""
            del message, words
            free.wait(20.0)
            return Answer(DELIVERED, "late")

    async def case() -> None:
        channel = BlockingChannel(Hanging(), 0.05)
        answers = await asyncio.gather(*(channel.send(TOLD, words(TOLD)) for _ in range(8)))
        assert {answer.status for answer in answers} == {"timeout"}
        began = time.monotonic()
        await asyncio.to_thread(lambda: None)
        assert time.monotonic() - began < 5.0
        free.set()
        await channel.close()

    asyncio.run(case())


def test_one_that_never_returns_keeps_no_process() -> None:
    """As `inferwatch notify test`, and a worker that is told to end, wait for no such thread."""
    program = """
import asyncio, sys, threading
sys.path[:0] = %r
from notices import message, notice, words
from inferwatch_streams.notifications.channels import blocking
blocking.GRACE_SECONDS = 0.0
class Hanging:
    def send(self, *_):
        threading.Event().wait()
told = message(notice())
async def case():
    channel = blocking.BlockingChannel(Hanging(), 0.05)
    print((await channel.send(told, words(told))).status)
    await channel.close()
asyncio.run(case())
"""
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", program % [str(Path(__file__).parent)]],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout == "timeout\n"
