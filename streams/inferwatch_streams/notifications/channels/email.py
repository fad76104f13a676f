"""E-mail by SMTP, as text and as HTML."""

from __future__ import annotations

import contextlib
import hashlib
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, Final

from jinja2.sandbox import ImmutableSandboxedEnvironment

from inferwatch_streams.notifications.channels.answers import of_smtp_status, told
from inferwatch_streams.notifications.channels.links import web_address
from inferwatch_streams.notifications.message import DELIVERED, FAILED, REFUSED, Answer
from inferwatch_streams.notifications.notice import RESOLVED

if TYPE_CHECKING:
    from inferwatch_streams.notifications.message import Message
    from inferwatch_streams.notifications.secret import Secret
    from inferwatch_streams.notifications.templates import Words

TLS, STARTTLS, PLAIN = "tls", "starttls", "none"
MODES: Final = (STARTTLS, TLS, PLAIN)
# One line of an e-mail has 998 characters at most (RFC 5322, section 2.1.1).
MAX_SUBJECT: Final = 200
_HTML: Final = ImmutableSandboxedEnvironment(autoescape=True).from_string(
    """<!doctype html><html><body style="font-family:sans-serif">
<h2 style="color:{{ colour }}">{{ words.title }}</h2>
{% for text in words.texts %}<p style="white-space:pre-line">{{ text }}</p>
{% if runbooks[loop.index0] %}<p><a href="{{ runbooks[loop.index0] }}">Runbook</a></p>{% endif %}
{% endfor %}{% if words.left_out %}<p>and {{ words.left_out }} more</p>{% endif %}
{% if link %}<p><a href="{{ link }}">Open</a></p>{% endif %}
</body></html>
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """One mail server and who gets mail.

    Attributes:
        host: The server.
        port: Its port.
        sender: Address that the mail comes from.
        to: Addresses that it goes to.
        security: One of ``MODES``: TLS begun by STARTTLS, from the first byte on, or none.
        timeout_seconds: For each answer of the server.
        user: User name, where the server asks for one.
        password: The user's password.
        ca_file: Authorities to trust in place of the system's.
    """

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    security: str = STARTTLS
    timeout_seconds: float = 10.0
    user: str | None = None
    password: Secret | None = None
    ca_file: str | None = None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What is never shown."""
        return () if self.password is None else (self.password,)

    def send(self, message: Message, words: Words) -> Answer:
        """See ``Sender``: delivered is what the server takes for one address at least."""
        try:
            mail = self.mail(message, words)
            server = self._connect()
            try:
                refused = server.send_message(mail, self.sender, list(self.to))
                # The mail is taken; how the server takes leave does not change that.
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    server.quit()
            finally:
                server.close()
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            return self._failed(error)
        if refused:
            detail = f"not for {', '.join(sorted(refused))}"
            return Answer(DELIVERED, "250", told(detail, self.secrets))
        return Answer(DELIVERED, "250", f"taken for {len(self.to)} addresses")

    def _failed(self, error: Exception) -> Answer:
        match error:
            case smtplib.SMTPRecipientsRefused():
                return self._recipients_refused(error.recipients)
            case smtplib.SMTPResponseException():
                detail = error.smtp_error
                text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
                return of_smtp_status(error.smtp_code, told(text, self.secrets))
            case smtplib.SMTPNotSupportedError():
                outcome, status, text = REFUSED, "unsupported", str(error)
            case UnicodeError():
                # The error holds what it could not encode.
                outcome, status, text = REFUSED, "request", "something is no text that SMTP takes"
            case TimeoutError():
                outcome, status, text = FAILED, "timeout", "no answer in time"
            case ssl.SSLError():
                outcome, status, text = FAILED, "tls", str(error)
            case _:
                outcome, status, text = FAILED, "connection", str(error) or type(error).__name__
        return Answer(outcome, status, told(text, self.secrets))

    def _recipients_refused(self, recipients: dict[str, Any]) -> Answer:
        codes = [int(code) for code, _ in recipients.values()]
        # One that may be taken later is reason enough to try again.
        return of_smtp_status(min(codes), f"no address was taken: {', '.join(sorted(recipients))}")

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=self.ca_file)
        server: smtplib.SMTP
        if self.security == TLS:
            server = smtplib.SMTP_SSL(
                self.host, self.port, timeout=self.timeout_seconds, context=context
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_seconds)
        try:
            if self.security == STARTTLS:
                server.starttls(context=context)
            if self.password is not None:
                server.login(self.user or self.sender, self.password.reveal())
        except BaseException:
            server.close()
            raise
        return server

    def mail(self, message: Message, words: Words) -> EmailMessage:
        """The message as a mail; a copy has the same Message-ID, by which servers tell it."""
        mail = EmailMessage()
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.to)
        mail["Subject"] = words.title[:MAX_SUBJECT]
        domain = self.sender.rpartition("@")[2].strip("> ") or "inferwatch"
        mail["Message-ID"] = f"<{message.message_id.replace('/', '.')}.inferwatch@{domain}>"
        # Mail programs show what a group has to say as one thread.
        thread = hashlib.sha256(message.group.encode()).hexdigest()[:16]
        mail["References"] = f"<{thread}.group.inferwatch@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(words.body + (f"\n{words.link}\n" if words.link else ""))
        resolved = all(notice.state == RESOLVED for notice in message.notices)
        mail.add_alternative(
            _HTML.render(
                words=words,
                colour="#2b8a3e" if resolved else "#c92a2a",
                runbooks=[web_address(notice.runbook_url) for notice in message.notices],
                link=web_address(words.link),
            ),
            subtype="html",
        )
        return mail
