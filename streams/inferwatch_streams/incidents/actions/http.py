"""HTTP of response actions: what an answer, or none, says about whether it was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx

from inferwatch_streams.errors import ActionFailedError, ConfigurationError
from inferwatch_streams.notifications.channels.http import keep_quiet

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS: Final = 10.0
QUOTED: Final = 200
# RFC 9110 and 6585: not taken up now, and may be later.
NOT_TAKEN: Final = frozenset({408, 409, 425, 429, 503})


def client(**given: Any) -> httpx.Client:
    """A client that follows no redirect, asks no proxy, and logs no address: it may be secret."""
    keep_quiet("httpx", "httpcore")
    return httpx.Client(timeout=SECONDS, trust_env=False, **given)


def check_url(url: str | None, name: str) -> str:
    """A URL of HTTP.

    Raises:
        ConfigurationError: It is missing, or none.
    """
    if not url:
        raise ConfigurationError(f"{name} is missing; also as {name}_env or {name}_file")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        # The error may hold a part of it, and it may be a secret.
        raise ConfigurationError(f"{name} is no URL") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError(f"{name} must begin with http:// or https://")
    return url


def asked(client: httpx.Client, method: str, url: str, **given: Any) -> httpx.Response:
    """The answer to a request, of success.

    Raises:
        ActionFailedError: There is none; says whether it may have been done, and tried again.
    """
    try:
        answer = client.request(method, url, **given)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise ActionFailedError(f"no connection: {error}.") from error
    except httpx.HTTPError as error:
        raise ActionFailedError(f"no answer: {error!r}.", may_have_run=True) from error
    except httpx.InvalidURL as error:
        raise ActionFailedError(f"no URL: {error}.", again=False) from error
    if answer.is_success:
        return answer
    status = answer.status_code
    raise ActionFailedError(
        f"{status} {answer.reason_phrase}: {answer.text[:QUOTED].strip()}",
        may_have_run=status >= httpx.codes.INTERNAL_SERVER_ERROR and status not in NOT_TAKEN,
        again=status >= httpx.codes.INTERNAL_SERVER_ERROR or status in NOT_TAKEN,
    )


def json_of(answer: httpx.Response) -> Mapping[str, Any]:
    """The JSON object of an answer.

    Raises:
        ActionFailedError: It is none.
    """
    try:
        found = answer.json()
    except ValueError as error:
        raise ActionFailedError(f"the answer is no JSON: {answer.text[:QUOTED]!r}.") from error
    if not isinstance(found, dict):
        raise ActionFailedError(f"the answer is no JSON object: {answer.text[:QUOTED]!r}.")
    return found
