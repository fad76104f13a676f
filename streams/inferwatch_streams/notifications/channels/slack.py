"""Slack: an incoming webhook, or chat.postMessage with a bot's token, in Block Kit.

Shapes and limits as https://docs.slack.dev/reference/block-kit and
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks describe them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.notifications.channels.answers import of_http_status
from inferwatch_streams.notifications.channels.http import Request
from inferwatch_streams.notifications.channels.links import web_address
from inferwatch_streams.notifications.message import DELIVERED, FAILED, REFUSED, Answer
from inferwatch_streams.notifications.notice import ACKNOWLEDGED, RESOLVED

if TYPE_CHECKING:
    from inferwatch_streams.notifications.channels.http import Response
    from inferwatch_streams.notifications.message import Message
    from inferwatch_streams.notifications.notice import Notice
    from inferwatch_streams.notifications.secret import Secret
    from inferwatch_streams.notifications.templates import Words

POST_MESSAGE: Final = "https://slack.com/api/chat.postMessage"
MAX_HEADER: Final = 150
MAX_SECTION: Final = 3000
MAX_BLOCKS: Final = 50
MAX_BUTTON: Final = 75
# Slack documents no limit of the whole, and refuses more than about 13,000 characters
# (msg_blocks_too_long, github.com/slackapi/bolt-js/issues/2509).
MAX_ALL: Final = 10_000
# Errors of chat.postMessage that say that the same message may do better later.
PASSING: Final = frozenset({
    "ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error",
    "request_timeout", "service_unavailable", "team_added_to_org",
})  # fmt: skip
# And those that say that it cannot; one that is not known is told in the detail alone.
FINAL: Final = frozenset({
    "account_inactive", "channel_not_found", "invalid_auth", "invalid_blocks", "is_archived",
    "missing_scope", "msg_blocks_too_long", "msg_too_long", "no_permission", "no_text",
    "not_authed", "not_in_channel", "restricted_action", "token_expired", "token_revoked",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """One Slack channel; either webhook or token and channel.

    Attributes:
        webhook_url: Address of an incoming webhook, a secret.
        token: A bot's token with the right chat:write.
        channel: Id or name of the channel that the bot posts to.
        api_url: Address of chat.postMessage.
    """

    webhook_url: Secret | None = None
    token: Secret | None = None
    channel: str | None = None
    api_url: str = POST_MESSAGE

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """See ``Endpoint``."""
        return tuple(secret for secret in (self.webhook_url, self.token) if secret is not None)

    def request(self, message: Message, words: Words, now: float) -> Request:
        """See ``Endpoint``."""
        del now
        body: dict[str, Any] = {
            "text": escaped(words.title, MAX_SECTION),
            "blocks": blocks(message, words),
            "unfurl_links": False,
        }
        if self.webhook_url is not None:
            return Request(self.webhook_url.reveal(), json.dumps(body).encode())
        token = "" if self.token is None else self.token.reveal()
        return Request(
            self.api_url,
            json.dumps({"channel": self.channel, **body}).encode(),
            {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json; charset=utf-8",
            },
        )

    def judge(self, response: Response) -> Answer:
        """See ``Endpoint``: a webhook answers ok, chat.postMessage always 200 and JSON."""
        answer = of_http_status(response.status, response.text, response.wait_seconds)
        if answer.outcome != DELIVERED:
            return answer
        if self.webhook_url is not None:
            if response.text.strip() == "ok":
                return answer
            return Answer(FAILED, "garbage", f"it does not answer as Slack does: {response.text}")
        try:
            told = json.loads(response.text)
            accepted, error = told["ok"], str(told.get("error", ""))
        except (ValueError, TypeError, KeyError, AttributeError):
            return Answer(FAILED, "garbage", f"it does not answer as Slack does: {response.text}")
        if accepted is True:
            return answer
        return Answer(
            FAILED if error in PASSING else REFUSED,
            error if error in PASSING | FINAL else "error",
            f"Slack says {error}",
            response.wait_seconds,
        )


def blocks(message: Message, words: Words) -> list[dict[str, Any]]:
    """A message as Block Kit: a header, a section for each notice that fits, and its buttons."""
    found: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(f"{_sign(message.worst)} {words.title}", MAX_HEADER)}
    ]
    left = MAX_ALL
    shown = 0
    for notice, text in zip(message.notices, words.texts, strict=False):
        section = escaped(text, MAX_SECTION)
        if shown and (len(section) > left or len(found) > MAX_BLOCKS - 3):
            break
        left -= len(section)
        shown += 1
        found.append({"type": "section", "text": {"type": "mrkdwn", "text": section or " "}})
        if buttons := _buttons(notice, words.link if shown == 1 else ""):
            found.append({"type": "actions", "elements": buttons})
    if hidden := len(message.notices) - shown:
        found.append({"type": "context", "elements": [_plain(f"and {hidden} more", MAX_SECTION)]})
    return found


def _buttons(notice: Notice, link: str) -> list[dict[str, Any]]:
    wanted = (("Runbook", notice.runbook_url), ("Open", link))
    return [
        {"type": "button", "text": _plain(name, MAX_BUTTON), "url": address}
        for name, url in wanted
        if (address := web_address(url))
    ]


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": shortened(text, limit), "emoji": True}


def _sign(notice: Notice) -> str:
    if notice.state == RESOLVED:
        return ":large_green_circle:"
    if notice.state == ACKNOWLEDGED:
        return ":large_blue_circle:"
    return {"critical": ":red_circle:", "high": ":large_orange_circle:"}.get(
        notice.severity, ":large_yellow_circle:"
    )


def escaped(text: str, limit: int) -> str:
    """A text as mrkdwn shows it, cut to a limit; never within an escape."""
    pieces = []
    for character in text:
        piece = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(character, character)
        limit -= len(piece)
        if limit < 0:
            break
        pieces.append(piece)
    return "".join(pieces)


def shortened(text: str, limit: int) -> str:
    """A text of so many characters at most; one that is cut says so."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
