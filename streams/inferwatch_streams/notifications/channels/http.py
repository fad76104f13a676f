"""Channels that are reached over HTTP: one request a message, and what is made of the response."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import httpx

from inferwatch_streams.notifications.channels.answers import told
from inferwatch_streams.notifications.message import FAILED, REFUSED, Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_streams.notifications.message import Message
    from inferwatch_streams.notifications.secret import Secret
    from inferwatch_streams.notifications.templates import Words

MAX_RESPONSE_BYTES: Final = 64 * 1024
USER_AGENT: Final = "inferwatch"


@dataclass(frozen=True, slots=True)
class Request:
    """One POST of JSON.

    Attributes:
        url: Where to; not shown, as it may hold a secret.
        body: What.
        headers: Further headers; not shown either.
    """

    url: str = field(repr=False)
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back.

    Attributes:
        status: HTTP status.
        text: Body, of a long one the beginning.
        wait_seconds: What Retry-After says.
    """

    status: int
    text: str
    wait_seconds: float | None = None


class _ProxyError(Exception):
    """The proxy that the environment names cannot be used; says nothing of its address."""


class Endpoint(Protocol):
    """What a kind of channel says of its HTTP. Pure."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What is never shown."""
        ...

    def request(self, message: Message, words: Words, now: float) -> Request:
        """The request that tells a message at a time, in seconds since 1970."""
        ...

    def judge(self, response: Response) -> Answer:
        """What a response means."""
        ...


class HttpChannel:
    """Sends the messages of one channel over HTTP."""

    def __init__(self, endpoint: Endpoint, timeout_seconds: float) -> None:
        """Prepare; redirects are not followed, so that secrets stay where they belong."""
        self._endpoint = endpoint
        self._timeout = timeout_seconds
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()
        keep_quiet("httpx", "httpcore")

    async def send(self, message: Message, words: Words) -> Answer:
        """Send a message, and tell what became of it; nothing is raised."""
        try:
            request = self._endpoint.request(message, words, time.time())
            async with asyncio.timeout(self._timeout):
                response = await self._post(request)
        except (
            _ProxyError, httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeEncodeError,
        ) as error:  # fmt: skip
            return self._failed(error)
        answer = self._endpoint.judge(response)
        return Answer(answer.outcome, answer.status, self._told(answer.detail), answer.wait_seconds)

    def _failed(self, error: Exception) -> Answer:
        match error:
            case TimeoutError():
                outcome, status, text = FAILED, "timeout", f"no answer within {self._timeout:g} s"
            case _ProxyError():
                outcome, status, text = FAILED, "proxy", str(error)
            case httpx.InvalidURL() | httpx.UnsupportedProtocol():
                outcome, status, text = REFUSED, "url", "its address is no http or https URL"
            case UnicodeEncodeError() | httpx.LocalProtocolError():
                # The error holds what it could not encode, or the header that it did not take.
                outcome, status = REFUSED, "request"
                text = "a secret has characters that HTTP does not take"
            case httpx.ProtocolError():
                outcome, status, text = FAILED, "protocol", f"it does not speak HTTP: {error}"
            case _:
                outcome, status, text = FAILED, "connection", str(error) or type(error).__name__
        return Answer(outcome, status, self._told(text))

    def _told(self, text: str) -> str:
        return told(text, self._endpoint.secrets)

    async def _post(self, request: Request) -> Response:
        async with self._opening:
            if self._client is None:
                context = await asyncio.to_thread(ssl.create_default_context)
                self._client = _client(self._timeout, context)
        headers = {
            "User-Agent": USER_AGENT, "Content-Type": "application/json", **request.headers
        }  # fmt: skip
        async with self._client.stream(
            "POST", request.url, content=request.body, headers=headers
        ) as answer:
            data = bytearray()
            async for piece in answer.aiter_bytes():
                data += piece
                if len(data) > MAX_RESPONSE_BYTES:
                    break
        return Response(
            answer.status_code,
            data[:MAX_RESPONSE_BYTES].decode(errors="replace"),
            retry_after(answer.headers.get("retry-after"), datetime.now(UTC)),
        )

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()


def _client(timeout: float, context: ssl.SSLContext) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(timeout=timeout, verify=context)
    except (ValueError, ImportError, httpx.InvalidURL):
        # The address is not shown: it may hold a password.
        raise _ProxyError(
            "the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names is none that can be used; "
            "give one of http:// or https://"
        ) from None


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks to wait (RFC 9110, section 10.2.3); None of none."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header.strip()[:9])
    try:
        at = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def keep_quiet(*loggers: str) -> None:
    """Silence loggers that would write addresses and headers, with the secrets in them."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
