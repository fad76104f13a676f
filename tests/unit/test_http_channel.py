"""Channels over HTTP, against an endpoint that does all that endpoints do."""

import asyncio
import base64
import gzip
import logging
from datetime import UTC, datetime

import pytest
from notices import message, notice, words
from odd_endpoint import Reply, answering, hanging, serving, writing

from inferwatch_streams.notifications.channels.alertmanager import Alertmanager
from inferwatch_streams.notifications.channels.http import HttpChannel, retry_after
from inferwatch_streams.notifications.channels.slack import Slack
from inferwatch_streams.notifications.message import DELIVERED, FAILED, REFUSED, Answer
from inferwatch_streams.notifications.secret import Secret

TOLD = message(notice())
BOMB = gzip.compress(b"x" * 10_000_000)


async def send(url: str, seconds: float = 5.0) -> Answer:
    """Send a message to a Slack webhook of this address."""
    channel = HttpChannel(Slack(webhook_url=Secret(url)), seconds)
    try:
        return await channel.send(TOLD, words(TOLD))
    finally:
        await channel.close()


@pytest.mark.parametrize(
    ("reply", "outcome", "status", "wait"),
    [
        (answering(200, "ok"), DELIVERED, "200", None),
        (answering(429, "", "Retry-After: 7"), FAILED, "429", 7.0),
        (answering(503, "", "Retry-After: soon"), FAILED, "503", None),
        (answering(500, "oops"), FAILED, "500", None),
        (answering(400, "invalid_payload"), REFUSED, "400", None),
        (answering(302, "", "Location: http://127.0.0.1:1/elsewhere"), REFUSED, "302", None),
        (writing(b""), FAILED, "protocol", None),
        (writing(b"\x00\xffgarbage\r\n\r\n"), FAILED, "protocol", None),
        (writing(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nok"), FAILED, "protocol", None),
        (
            writing(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "
                + str(len(BOMB)).encode() + b"\r\n\r\n" + BOMB
            ),
            FAILED, "garbage", None,
        ),
        (answering(200, "x" * 200_000), FAILED, "garbage", None),
    ],
)  # fmt: skip
def test_whatever_comes_back_is_an_answer(
    reply: Reply, outcome: str, status: str, wait: float | None
) -> None:
    """Nothing is raised, and nothing is read without end."""

    async def case() -> Answer:
        async with serving(reply) as endpoint:
            answer = await send(endpoint.url)
            assert len(endpoint.requests) == 1
            return answer

    answer = asyncio.run(case())
    assert (answer.outcome, answer.status, answer.wait_seconds) == (outcome, status, wait)
    assert len(answer.detail) <= 300


def test_one_that_drips_for_ever_is_left_in_time() -> None:
    """Each piece comes in time, the whole does not."""

    async def case() -> Answer:
        async with serving(hanging) as endpoint:
            return await send(endpoint.url, seconds=0.2)

    assert asyncio.run(case()) == Answer(FAILED, "timeout", "no answer within 0.2 s")


@pytest.mark.parametrize(
    ("url", "outcome", "status"),
    [
        ("http://127.0.0.1:1/hush", FAILED, "connection"),
        ("http://no-such-host.invalid/hush", FAILED, "connection"),
        ("gopher://127.0.0.1/hush", REFUSED, "url"),
        ("hush", REFUSED, "url"),
        ("https://127.0.0.1:1/hush", FAILED, "connection"),
    ],
)
def test_what_cannot_be_reached_is_told_without_its_address(
    url: str, outcome: str, status: str
) -> None:
    """A secret in it stays one."""
    answer = asyncio.run(send(url))
    assert (answer.outcome, answer.status) == (outcome, status), answer
    assert "hush" not in repr(answer)


def test_a_secret_that_is_no_ascii_is_refused_unseen() -> None:
    """Python's own error would show it."""

    async def case() -> Answer:
        channel = HttpChannel(Slack(token=Secret("hush\u20ac"), channel="C"), 5.0)
        return await channel.send(TOLD, words(TOLD))

    answer = asyncio.run(case())
    assert (answer.outcome, answer.status) == (REFUSED, "request")
    assert "hush" not in repr(answer)


def test_an_answer_that_repeats_the_secret_is_told_without_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And at no level of logging is the address written."""

    async def case() -> tuple[Answer, str]:
        async with serving(writing(b"")) as endpoint:
            body = f"no route to {endpoint.url}\r\nfor\x1b[31m you"
            endpoint.replies = [answering(404, body)]
            return await send(endpoint.url), endpoint.url

    with caplog.at_level(logging.DEBUG):
        answer, url = asyncio.run(case())
    assert answer.detail == "no route to *** for [31m you"
    assert url not in caplog.text
    assert "/hush" not in caplog.text


@pytest.mark.parametrize("proxy", ["ftp://ann:hush@127.0.0.1:1", "socks5://ann:hush@127.0.0.1:1"])
def test_a_proxy_that_cannot_be_is_told_without_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Httpx raises what holds it."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    answer = asyncio.run(send("http://192.0.2.1/T1"))
    assert (answer.outcome, answer.status) == (FAILED, "proxy")
    assert "hush" not in answer.detail


def test_secrets_that_are_no_header_or_come_back_are_not_shown() -> None:
    """A token of two lines, and a server that repeats the header it got."""

    async def case(endpoint: Alertmanager) -> Answer:
        channel = HttpChannel(endpoint, 5.0)
        try:
            return await channel.send(TOLD, words(TOLD))
        finally:
            await channel.close()

    async def cases() -> None:
        pair = base64.b64encode(b"ann:hush-hush").decode()
        async with serving(answering(400, f"no: Basic {pair}")) as endpoint:
            two = Alertmanager(url=endpoint.url, resend_seconds=60, token=Secret("hush-a\nhush-b"))
            answer = await case(two)
            assert (answer.outcome, answer.status, "hush" in answer.detail) == (
                REFUSED, "request", False,
            )  # fmt: skip
            password = Secret("hush-hush")
            basic = Alertmanager(url=endpoint.url, resend_seconds=60, user="ann", password=password)
            assert (await case(basic)).detail == "no: Basic ***"

    asyncio.run(cases())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("99999999999999999999", 999999999.0),
        ("-1", None),
        ("1.5", None),
        ("Tue, 24 Nov 2026 22:28:34 GMT", 30.0),
        ("Tue, 24 Nov 2026 22:28:34", 30.0),
        ("Tue, 24 Nov 2026 22:00:00 GMT", 0.0),
        ("Tue, 99 Nov 2026 99:00:00 GMT", None),
        ("\u0662", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    """As RFC 9110 has it; of what it does not, nothing is taken."""
    assert retry_after(header, datetime(2026, 11, 24, 22, 28, 4, tzinfo=UTC)) == seconds
