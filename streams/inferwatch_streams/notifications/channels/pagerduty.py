"""PagerDuty: Events API v2, trigger, acknowledge and resolve of one alert or incident.

As https://developer.pagerduty.com/docs/send-alert-event and .../events-api-v2-overview describe it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from inferwatch_schemas.instants import moment
from inferwatch_streams.notifications.channels.answers import of_http_status
from inferwatch_streams.notifications.channels.http import Request
from inferwatch_streams.notifications.channels.links import web_address
from inferwatch_streams.notifications.channels.slack import shortened
from inferwatch_streams.notifications.message import DELIVERED, FAILED, Answer
from inferwatch_streams.notifications.notice import ACKNOWLEDGED, FIRING, RESOLVED, UPDATED

if TYPE_CHECKING:
    from inferwatch_streams.notifications.channels.http import Response
    from inferwatch_streams.notifications.message import Message
    from inferwatch_streams.notifications.notice import Notice
    from inferwatch_streams.notifications.secret import Secret
    from inferwatch_streams.notifications.templates import Words

ENQUEUE: Final = "https://events.pagerduty.com/v2/enqueue"
MAX_SUMMARY: Final = 1024
MAX_DEDUP_KEY: Final = 255
# PagerDuty takes 512 KB of JSON; what is this long no
# phone shows.
MAX_FIELD: Final = 8_000
MAX_LABEL: Final = 250
MAX_LABELS: Final = 25
ACTIONS: Final = {
    FIRING: "trigger", UPDATED: "trigger", ACKNOWLEDGED: "acknowledge", RESOLVED: "resolve",
}  # fmt: skip
SEVERITIES: Final = {"critical": "critical", "high": "error", "medium": "warning", "low": "info"}
PLACES: Final = ("host", "service", "model", "endpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDuty:
    """One PagerDuty service.

    Attributes:
        routing_key: Key of its Events API v2 integration, a secret.
        url: Where events go; EU accounts have one of their own.
    """

    routing_key: Secret
    url: str = ENQUEUE

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """See ``Endpoint``."""
        return (self.routing_key,)

    def request(self, message: Message, words: Words, now: float) -> Request:
        """See ``Endpoint``."""
        del now
        notice = message.notices[0]
        event: dict[str, Any] = {
            "routing_key": self.routing_key.reveal(),
            "event_action": ACTIONS[notice.state],
            "dedup_key": notice.subject[:MAX_DEDUP_KEY],
        }
        if event["event_action"] == "trigger":
            link = web_address(words.link)
            links = [
                {"href": href, "text": text}
                for href, text in ((web_address(notice.runbook_url), "Runbook"), (link, "Open"))
                if href
            ]
            event |= {
                "client": "Inferwatch",
                **({"client_url": link} if link else {}),
                "payload": _payload(notice, words),
                "links": links,
            }
        return Request(self.url, json.dumps(event, ensure_ascii=False).encode())

    def judge(self, response: Response) -> Answer:
        """See ``Endpoint``: it is taken where 202 comes with the status success."""
        answer = of_http_status(response.status, response.text, response.wait_seconds)
        if answer.outcome != DELIVERED:
            return answer
        try:
            taken = json.loads(response.text)["status"] == "success"
        except (ValueError, TypeError, KeyError):
            taken = False
        if taken:
            return answer
        return Answer(FAILED, "garbage", f"it does not answer as PagerDuty does: {response.text}")


def _payload(notice: Notice, words: Words) -> dict[str, Any]:
    labels = {
        shortened(name, MAX_LABEL): shortened(value, MAX_LABEL)
        for name, value in notice.labels[:MAX_LABELS]
    }
    source = next((labels[name] for name in PLACES if labels.get(name)), "inferwatch")
    details = {
        "rule" if notice.kind == "alert" else "priority": shortened(notice.name, MAX_SUMMARY),
        "state": notice.state,
        "labels": labels,
        "value": notice.value,
        "threshold": notice.threshold,
        "samples": notice.samples,
        "description": shortened(notice.description, MAX_FIELD),
        "news": shortened(notice.news, MAX_FIELD),
        "text": shortened(words.body, MAX_FIELD),
        "runbook_url": shortened(notice.runbook_url or "", MAX_FIELD),
        "notification_id": notice.notice_id,
    }
    return {
        "summary": shortened(words.title, MAX_SUMMARY),
        "source": shortened(source, MAX_SUMMARY),
        "severity": SEVERITIES.get(notice.severity, "warning"),
        "timestamp": moment(notice.since).isoformat(),
        "class": shortened(notice.name, MAX_SUMMARY),
        "group": shortened(notice.group or notice.kind, MAX_SUMMARY),
        **({"component": labels["service"]} if labels.get("service") else {}),
        "custom_details": {
            name: value for name, value in details.items() if value not in (None, "", {})
        },
    }
