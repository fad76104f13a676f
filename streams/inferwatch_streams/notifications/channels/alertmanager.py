"""Alertmanager: POST /api/v2/alerts, said again while alerts fire, or it takes them as over.

As https://prometheus.io/docs/alerting/latest/alerts_api and its OpenAPI specification describe it.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from inferwatch_schemas.instants import moment
from inferwatch_streams.notifications.channels.answers import of_http_status
from inferwatch_streams.notifications.channels.http import Request
from inferwatch_streams.notifications.channels.links import web_address
from inferwatch_streams.notifications.notice import RESOLVED
from inferwatch_streams.notifications.secret import Secret
from inferwatch_streams.notifications.templates import acknowledging

if TYPE_CHECKING:
    from inferwatch_streams.notifications.channels.http import Response
    from inferwatch_streams.notifications.message import Answer, Message
    from inferwatch_streams.notifications.notice import Notice
    from inferwatch_streams.notifications.templates import Words

# Prometheus lets an alert end after four resends that did not come, too.
MISSED: Final = 4
_NO_LABEL_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alertmanager:
    """One Alertmanager.

    Attributes:
        url: Its address, up to and without /api.
        resend_seconds: How often what fires is said again.
        user: User name, where it asks for one.
        password: The user's password.
        token: A bearer token, where it asks for one.
    """

    url: str
    resend_seconds: float
    user: str | None = None
    password: Secret | None = None
    token: Secret | None = None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """See ``Endpoint``."""
        return tuple(
            secret for secret in (self.password, self._pair, self.token) if secret is not None
        )

    @property
    def _pair(self) -> Secret | None:
        """User and password as the header has them, which an answer may repeat."""
        if self.password is None:
            return None
        pair = f"{self.user or ''}:{self.password.reveal()}".encode()
        return Secret(base64.b64encode(pair).decode())

    def request(self, message: Message, words: Words, now: float) -> Request:
        """See ``Endpoint``: all alerts that fire, and those that have just ended."""
        ended = [
            notice
            for notice in message.notices
            if notice.state == RESOLVED
            and all(notice.subject != other.subject for other in message.active)
        ]
        ends = int((now + MISSED * self.resend_seconds) * 1_000_000)
        body = [self._alert(notice, words, ends) for notice in (*message.active, *ended)]
        return Request(
            f"{self.url.rstrip('/')}/api/v2/alerts", json.dumps(body).encode(), self._headers()
        )

    def _headers(self) -> dict[str, str]:
        if self.token is not None:
            return {"Authorization": f"Bearer {self.token.reveal()}"}
        if self._pair is not None:
            return {"Authorization": f"Basic {self._pair.reveal()}"}
        return {}

    def _alert(self, notice: Notice, words: Words, ends: int) -> dict[str, Any]:
        annotations = {
            "summary": notice.title,
            "description": notice.description or notice.news,
            "runbook_url": notice.runbook_url or "",
            "value": "" if notice.value is None else f"{notice.value:.6g}",
            "acknowledge": acknowledging(notice),
        }
        until = notice.until if notice.state == RESOLVED and notice.until else ends
        return {
            "labels": _labels(notice),
            "annotations": {name: text for name, text in annotations.items() if text},
            "startsAt": moment(notice.since).isoformat(),
            # Equal times would be no alert at all.
            "endsAt": moment(max(until, notice.since + 1)).isoformat(),
            **({"generatorURL": link} if (link := web_address(words.link)) else {}),
        }

    def judge(self, response: Response) -> Answer:
        """See ``Endpoint``."""
        return of_http_status(response.status, response.text, response.wait_seconds)


def _labels(notice: Notice) -> dict[str, str]:
    """Labels by which Alertmanager tells alerts apart: the same from firing to resolved."""
    named = {
        _label_name(name): value
        for name, value in notice.labels
        if value  # An empty label is none, as in Prometheus.
    }
    if notice.kind == "incident":
        # Its services and its priority may change; its id does not.
        named = {"incident": notice.subject}
    else:
        named["severity"] = notice.severity
    return {**named, "alertname": notice.name if notice.kind == "alert" else "Incident"}


def _label_name(name: str) -> str:
    clean = _NO_LABEL_NAME.sub("_", name)
    return f"_{clean}" if not clean or clean[0].isdigit() else clean
