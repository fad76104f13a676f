"""All else: what apprise knows of, by its URLs (https://github.com/caronc/apprise/wiki)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import apprise

from inferwatch_streams.notifications.channels.http import keep_quiet
from inferwatch_streams.notifications.message import DELIVERED, FAILED, Answer
from inferwatch_streams.notifications.notice import ACKNOWLEDGED, RESOLVED
from inferwatch_streams.notifications.secret import SecretError

if TYPE_CHECKING:
    from inferwatch_streams.notifications.message import Message
    from inferwatch_streams.notifications.notice import Notice
    from inferwatch_streams.notifications.secret import Secret
    from inferwatch_streams.notifications.templates import Words


# As Discord, Slack, Teams, Matrix and others have it; a space without width makes it a mere word.
_CALLS: Final = re.compile(r"@(?=(?:everyone|here|channel|all|room|team)\b)|<(?=[@!#])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Apprise:
    """One service of apprise.

    Attributes:
        url: Its apprise URL, a secret.
    """

    url: Secret
    _service: Any = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Let apprise read the URL.

        Raises:
            SecretError: It knows no such service.
        """
        # Its messages hold URLs.
        keep_quiet("apprise", "urllib3", "requests")
        service = apprise.Apprise.instantiate(self.url.reveal(), suppress_exceptions=True)
        if service is None:
            raise SecretError(
                "apprise knows no service of that URL; see https://github.com/caronc/apprise/wiki"
            )
        object.__setattr__(self, "_service", service)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What is never shown."""
        return (self.url,)

    def send(self, message: Message, words: Words) -> Answer:
        """See ``Sender``: apprise tells only whether it succeeded."""
        sending = apprise.Apprise()
        sending.add(self._service)
        sent = sending.notify(
            body=_calling_nobody(words.body) + (f"\n{words.link}" if words.link else ""),
            title=_calling_nobody(words.title),
            notify_type=_type(message.worst),
            body_format=apprise.NotifyFormat.TEXT,
        )
        if sent:
            return Answer(DELIVERED, "sent", "apprise has sent it")
        return Answer(FAILED, "failed", "apprise could not send it, and does not say why")


def _calling_nobody(text: str) -> str:
    """A text in which no label calls all people of a channel: services read that in plain text."""
    return _CALLS.sub("\\g<0>\u200b", text)


def _type(notice: Notice) -> apprise.NotifyType:
    if notice.state == RESOLVED:
        return apprise.NotifyType.SUCCESS
    if notice.state == ACKNOWLEDGED:
        return apprise.NotifyType.INFO
    critical = notice.severity in ("critical", "high")
    return apprise.NotifyType.FAILURE if critical else apprise.NotifyType.WARNING
