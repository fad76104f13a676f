"""What a status of HTTP or SMTP means for a message: done, never, or later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inferwatch_streams.notifications.message import DELIVERED, FAILED, MAX_DETAIL, REFUSED, Answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferwatch_streams.notifications.secret import Secret

from inferwatch_streams.notifications.secret import scrubbed

# RFC 9110 and RFC 6585: these say that the same request may do better later.
_PASSING: Final = frozenset({408, 421, 425, 429})


def of_http_status(status: int, detail: str, wait_seconds: float | None = None) -> Answer:
    """The answer that an HTTP status is: 2xx delivered, 3xx and most 4xx refused, else failed."""
    if 200 <= status < 300:  # noqa: PLR2004  # RFC 9110, section 15.3
        return Answer(DELIVERED, str(status), detail)
    if 300 <= status < 500 and status not in _PASSING:  # noqa: PLR2004  # RFC 9110, section 15
        return Answer(REFUSED, str(status), detail)
    return Answer(FAILED, str(status), detail, wait_seconds)


def of_smtp_status(status: int, detail: str) -> Answer:
    """The answer that an SMTP status is: 5yz refused, 4yz and what is none may do better later.

    RFC 5321, section 4.2.1; smtplib says -1 of a reply that is no status.
    """
    if status < 400:  # noqa: PLR2004  # as said above
        return Answer(FAILED, "garbage", detail)
    return Answer(FAILED if status < 500 else REFUSED, str(status), detail)  # noqa: PLR2004  # likewise


def told(text: str, secrets: Iterable[Secret]) -> str:
    """A foreign text as a detail may hold it: on one line, short, without secrets and controls."""
    clean = scrubbed(text, secrets)
    return " ".join("".join(c if c.isprintable() else " " for c in clean).split())[:MAX_DETAIL]
