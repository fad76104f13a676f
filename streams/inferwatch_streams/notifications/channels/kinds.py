"""The kinds of channels: what each takes in the file of configuration, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from inferwatch_streams.configuration import durations
from inferwatch_streams.notifications import secret
from inferwatch_streams.notifications.channels.alertmanager import Alertmanager
from inferwatch_streams.notifications.channels.blocking import BlockingChannel
from inferwatch_streams.notifications.channels.email import MODES, STARTTLS, TLS, Email
from inferwatch_streams.notifications.channels.http import HttpChannel
from inferwatch_streams.notifications.channels.pagerduty import ENQUEUE, PagerDuty
from inferwatch_streams.notifications.channels.slack import POST_MESSAGE, Slack
from inferwatch_streams.notifications.channels.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_streams.notifications.message import Answer, Message
    from inferwatch_streams.notifications.secret import Secret
    from inferwatch_streams.notifications.templates import Words

Options = dict[str, Any]


class Channel(Protocol):
    """What sends messages."""

    async def send(self, message: Message, words: Words) -> Answer:
        """Send a message, and tell what became of it."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of channel.

    Attributes:
        about: What it is, for the JSON Schema.
        fields: JSON Schema of each of its fields.
        required: Those that must be given; where there are several ways, one of these tuples.
        build: Makes it of its fields, secrets in place, and a time limit in seconds.
        messages_per_minute: How much it is sent where the file says nothing.
        one_by_one: Whether a message tells one alert alone, so that grouping does not concern it.
        mirrors: See ``Manner``.
        acknowledged: Whether it is told of acknowledgements where the file says nothing.
    """

    about: str
    fields: Mapping[str, Any]
    required: tuple[tuple[str, ...], ...]
    build: Callable[[Options, float], Channel]
    messages_per_minute: int
    one_by_one: bool = False
    mirrors: bool = False
    acknowledged: bool = True


def _slack(options: Options, timeout: float) -> Channel:
    return HttpChannel(Slack(**options), timeout)


def _pagerduty(options: Options, timeout: float) -> Channel:
    return HttpChannel(PagerDuty(**options), timeout)


def _alertmanager(options: Options, timeout: float) -> Channel:
    resend = durations.duration(options.pop("resend_interval", DEFAULT_RESEND)) / durations.SECOND
    return HttpChannel(Alertmanager(resend_seconds=resend, **options), timeout)


def _webhook(options: Options, timeout: float) -> Channel:
    return HttpChannel(Webhook(**options), timeout)


def _email(options: Options, timeout: float) -> Channel:
    security = options.get("security", STARTTLS)
    port = options.pop("port", {TLS: 465, STARTTLS: 587}.get(security, 25))
    to = tuple(options.pop("to"))
    sender = options.pop("from")
    mail = Email(port=port, to=to, sender=sender, timeout_seconds=timeout, **options)
    return BlockingChannel(mail, timeout)


def _apprise(options: Options, timeout: float) -> Channel:
    # It is slow to import, and seldom needed.
    from inferwatch_streams.notifications.channels.apprise import Apprise  # noqa: PLC0415

    return BlockingChannel(Apprise(**options), timeout)


DEFAULT_RESEND: Final = "1m"
_TEXT: Final = {"type": "string", "minLength": 1}
_ADDRESS: Final = {"type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$"}
_URL: Final = {
    "type": "string", "pattern": "^https?://[^\\s@]+$",
    "description": "An http or https address, without a password in it.",
}  # fmt: skip

KINDS: Final[Mapping[str, Kind]] = {
    "slack": Kind(
        "Slack: an incoming webhook, or a bot's token and a channel.",
        {
            "webhook_url": secret.SCHEMA, "token": secret.SCHEMA, "channel": _TEXT,
            "api_url": {**_URL, "default": POST_MESSAGE},
        },
        (("webhook_url",), ("token", "channel")), _slack, 60,
    ),
    "pagerduty": Kind(
        "PagerDuty's Events API v2.",
        {"routing_key": secret.SCHEMA, "url": {**_URL, "default": ENQUEUE}},
        (("routing_key",),), _pagerduty, 120, one_by_one=True,
    ),
    "alertmanager": Kind(
        "Alertmanager's API v2.",
        {
            "url": _URL, "user": _TEXT, "password": secret.SCHEMA, "token": secret.SCHEMA,
            "resend_interval": {**durations.SCHEMA, "default": DEFAULT_RESEND},
        },
        (("url",),), _alertmanager, 600, mirrors=True, acknowledged=False,
    ),
    "webhook": Kind(
        "An endpoint of your own, told by signed events (standardwebhooks.com).",
        {"url": secret.SCHEMA, "signing_secret": secret.SCHEMA},
        (("url", "signing_secret"),), _webhook, 600, one_by_one=True,
    ),
    "email": Kind(
        "E-mail by SMTP.",
        {
            "host": _TEXT, "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "from": _ADDRESS, "to": {"type": "array", "items": _ADDRESS, "minItems": 1},
            "security": {"enum": list(MODES), "default": STARTTLS},
            "user": _TEXT, "password": secret.SCHEMA, "ca_file": _TEXT,
        },
        (("host", "from", "to"),), _email, 20, acknowledged=False,
    ),
    "apprise": Kind(
        "Any service that apprise knows, by its URL.",
        {"url": secret.SCHEMA},
        (("url",),), _apprise, 20, acknowledged=False,
    ),
}  # fmt: skip


def secrets_of(options: Options) -> tuple[Secret, ...]:
    """The secrets among a channel's options."""
    return tuple(one for one in options.values() if isinstance(one, secret.Secret))
