"""The errors of clickhouse-connect and its HTTP library, translated into our own."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from clickhouse_connect.driver import exceptions as driver
from urllib3.exceptions import HTTPError

from inferwatch_clickhouse.errors import (
    ClickHouseAccessError,
    ClickHouseError,
    ClickHouseRefusedError,
    ClickHouseUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inferwatch_clickhouse.settings import ClickHouseSettings

# ClickHouse, src/Common/ErrorCodes.cpp: what another attempt, later, may not meet again.
_LATER: Final = {
    3,  # UNEXPECTED_END_OF_FILE: the body did not arrive whole
    159,  # TIMEOUT_EXCEEDED
    202,  # TOO_MANY_SIMULTANEOUS_QUERIES
    203,  # NO_FREE_CONNECTION
    209,  # SOCKET_TIMEOUT
    210,  # NETWORK_ERROR
    236,  # ABORTED: the server is going down
    241,  # MEMORY_LIMIT_EXCEEDED
    242,  # TABLE_IS_READ_ONLY: its keeper is away
    243,  # NOT_ENOUGH_SPACE
    252,  # TOO_MANY_PARTS: merges lag behind
    285,  # TOO_FEW_LIVE_REPLICAS
    319,  # UNKNOWN_STATUS_OF_INSERT
    394,  # QUERY_WAS_CANCELLED
    425,  # SYSTEM_ERROR
    745,  # SERVER_OVERLOADED
    999,  # KEEPER_EXCEPTION
}
_ACCESS: Final = {
    192,  # UNKNOWN_USER
    193,  # WRONG_PASSWORD
    194,  # REQUIRED_PASSWORD
    497,  # ACCESS_DENIED
    516,  # AUTHENTICATION_FAILED
}

_CODE: Final = re.compile(r"\bCode:\s*(\d+)")
_VERSION: Final = re.compile(r"\s*\(version [^\n]*$")


@contextmanager
def translated(settings: ClickHouseSettings) -> Iterator[None]:
    """Translate what the driver raises in the block.

    Args:
        settings: Where and as whom the block asks.

    Raises:
        ClickHouseUnavailableError: No answer, or not now.
        ClickHouseRefusedError: ClickHouse, or its driver, refuses.
    """
    try:
        yield
    except (driver.ClickHouseError, HTTPError, OSError) as error:
        raise _ours(settings, error) from error


def _ours(settings: ClickHouseSettings, error: Exception) -> ClickHouseError:
    text = str(error)
    found = _CODE.search(text)
    code = getattr(error, "code", None) or (int(found[1]) if found else None)
    if code is None:
        if isinstance(error, driver.ProgrammingError):
            return ClickHouseRefusedError(f"ClickHouse's driver refuses: {_sentence(text)}")
        return ClickHouseUnavailableError(
            f"ClickHouse at {settings.url} does not answer ({_reason(error)}); "
            "start it, or name another with --clickhouse-url."
        )
    message = _explanation(text)
    if code in _LATER:
        return ClickHouseUnavailableError(
            f"ClickHouse at {settings.url} cannot do this now (code {code}): {message}"
        )
    if code in _ACCESS:
        return ClickHouseAccessError(
            f"ClickHouse at {settings.url} does not let user "
            f"{settings.user!r} do this (code {code}): {message}",
            code,
        )
    return ClickHouseRefusedError(f"ClickHouse refuses (code {code}): {message}", code)


def _explanation(text: str) -> str:
    """What ClickHouse says in its first line, without codes and class names in front."""
    return _sentence(text).rpartition("DB::Exception: ")[2]


def _sentence(text: str) -> str:
    first = text.strip().splitlines()[0] if text.strip() else "no reason given"
    return _VERSION.sub("", first).strip()


def _reason(error: Exception) -> str:
    """The innermost cause: the driver and its HTTP library wrap it several times."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return _sentence(str(cause)) if str(cause) else type(cause).__name__
