"""A signed webhook, as Standard Webhooks 1.0 has it: one event for each notice.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from inferwatch_schemas.instants import moment
from inferwatch_streams.notifications.channels.answers import of_http_status
from inferwatch_streams.notifications.channels.http import Request
from inferwatch_streams.notifications.secret import SecretError

if TYPE_CHECKING:
    from inferwatch_streams.notifications.channels.http import Response
    from inferwatch_streams.notifications.message import Answer, Message
    from inferwatch_streams.notifications.notice import Notice
    from inferwatch_streams.notifications.secret import Secret
    from inferwatch_streams.notifications.templates import Words

PREFIX: Final = "whsec_"
MIN_KEY_BYTES: Final = 24
MAX_KEY_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One endpoint.

    Attributes:
        url: Its address, a secret, as whoever knows it may write there.
        signing_secret: What both sides know: ``whsec_`` and base64 of 24 to 64 bytes.
    """

    url: Secret
    signing_secret: Secret
    _key: bytes = field(init=False, repr=False, compare=False, default=b"")

    def __post_init__(self) -> None:
        """Take the key out of the secret.

        Raises:
            SecretError: It is of another form.
        """
        try:
            encoded = self.signing_secret.reveal()
            key = base64.b64decode(encoded.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
            raise SecretError(
                f"the signing secret must be {PREFIX} and base64 of {MIN_KEY_BYTES} to "
                f"{MAX_KEY_BYTES} bytes; make one with: echo {PREFIX}$(openssl rand -base64 32)"
            )
        object.__setattr__(self, "_key", key)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """See ``Endpoint``."""
        return (self.url, self.signing_secret)

    def request(self, message: Message, words: Words, now: float) -> Request:
        """See ``Endpoint``."""
        body = json.dumps(event(message.notices[0], words, message.repeat)).encode()
        sent_at = str(int(now))
        return Request(
            self.url.reveal(),
            body,
            {
                "webhook-id": message.message_id,
                "webhook-timestamp": sent_at,
                "webhook-signature": signature(self._key, message.message_id, sent_at, body),
            },
        )

    def judge(self, response: Response) -> Answer:
        """See ``Endpoint``."""
        return of_http_status(response.status, response.text, response.wait_seconds)


def signature(key: bytes, message_id: str, sent_at: str, body: bytes) -> str:
    """The header that proves who sent a body, and when."""
    signed = f"{message_id}.{sent_at}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def event(notice: Notice, words: Words, repeat: int) -> dict[str, Any]:
    """The event that the body holds: type, timestamp and data."""
    return {
        "type": f"{notice.kind}.{notice.state}",
        "timestamp": moment(notice.at).isoformat(),
        "data": {
            "notification_id": notice.notice_id,
            "repeat": repeat,
            "id": notice.subject,
            "name": notice.name,
            "severity": notice.severity,
            "title": notice.title,
            "text": words.texts[0],
            "labels": dict(notice.labels),
            "value": notice.value,
            "threshold": notice.threshold,
            "samples": notice.samples,
            "description": notice.description,
            "news": notice.news,
            "actor": notice.actor,
            "runbook_url": notice.runbook_url,
            "since": moment(notice.since).isoformat(),
            "until": None if notice.until is None else moment(notice.until).isoformat(),
        },
    }
