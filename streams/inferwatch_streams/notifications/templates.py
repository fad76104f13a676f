"""The words of messages: templates of a title, of a text for each notice, and of a link."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from jinja2 import ChainableUndefined, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inferwatch_schemas.instants import moment_text
from inferwatch_streams.errors import StreamsError
from inferwatch_streams.notifications import metrics
from inferwatch_streams.notifications.notice import ALERT, RESOLVED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_streams.notifications.message import Message
    from inferwatch_streams.notifications.notice import Notice

log = structlog.get_logger(__name__)

MAX_TITLE: Final = 1_000
MAX_TEXT: Final = 16_000
MAX_LINK: Final = 2_000
# Nobody reads more in one message, and each takes milliseconds.
MAX_TEXTS: Final = 50
NAMES: Final = ("title", "text", "link")
DEFAULTS: Final[Mapping[str, str]] = {
    "title": (
        "[{{ state | upper }}{% if count > 1 %}:{{ count }}{% endif %}] "
        "{% if kind == 'incident' %}{{ name }} {% else %}{{ severity }}: {% endif %}{{ title }}"
        "{% if repeat %} (still){% endif %}"
    ),
    "text": (
        "{{ title }}\n"
        "State: {{ state }}, {{ severity }}{% if actor %}, by {{ actor }}{% endif %}\n"
        "{% if name %}{{ 'Rule' if kind == 'alert' else 'Priority' }}: {{ name }}\n{% endif %}"
        "{% if labels %}Where: {% for key, value in labels.items() %}"
        "{{ key }}={{ value }}{{ ', ' if not loop.last }}{% endfor %}\n{% endif %}"
        "Since: {{ since }}{% if until %}, until {{ until }}{% endif %}"
        " ({{ duration }})\n"
        "{% if value is not none %}Value: {{ value | number }}"
        "{% if threshold is not none %} against {{ threshold | number }}{% endif %}"
        "{% if samples is not none %}, of {{ samples }} samples{% endif %}\n{% endif %}"
        "{% if news %}{{ news }}\n{% endif %}"
        "{% if description %}{{ description }}\n{% endif %}"
        "{% if runbook_url %}Runbook: {{ runbook_url }}\n{% endif %}"
        "{% if state == 'firing' %}Acknowledge: {{ acknowledge }}\n{% endif %}"
    ),
    "link": "",
}


class NotificationTemplateError(StreamsError):
    """A template cannot be used; says why."""


@dataclass(frozen=True, slots=True)
class Words:
    """A message in words.

    Attributes:
        title: One line.
        texts: A text for each of its first notices.
        link: Where there is more; empty for nowhere.
        left_out: How many notices have no text.
    """

    title: str
    texts: tuple[str, ...]
    link: str = ""
    left_out: int = 0

    @property
    def body(self) -> str:
        """All texts."""
        more = (f"and {self.left_out} more\n",) if self.left_out else ()
        return "\n".join((*self.texts, *more))


# Labels come from events: what terminals and mail servers would obey is none of our words.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def _clean(text: str) -> str:
    return _CONTROLS.sub(" ", text)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)


_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    undefined=ChainableUndefined, autoescape=False, keep_trailing_newline=True
)
_ENVIRONMENT.filters["number"] = _number


class Templates:
    """The templates of a channel."""

    def __init__(self, own: Mapping[str, str]) -> None:
        """Compile them.

        Args:
            own: Those of ``NAMES`` that are not the default ones.

        Raises:
            NotificationTemplateError: One is no template, or names what there is not.
        """
        self._texts = dict(own)
        self._own = {name: _compiled(name, text) for name, text in own.items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Templates) and self._texts == other._texts

    def __hash__(self) -> int:
        return hash(frozenset(self._texts.items()))

    def words(self, message: Message) -> Words:
        """A message in words; where a template fails, the default one speaks."""
        first = context(message.worst, message)
        return Words(
            " ".join(_clean(self._render("title", first)[:MAX_TITLE]).split()),
            tuple(
                _clean(self._render("text", context(notice, message))[:MAX_TEXT])
                for notice in message.notices[:MAX_TEXTS]
            ),
            self._render("link", first)[:MAX_LINK].strip(),
            max(0, len(message.notices) - MAX_TEXTS),
        )

    def _render(self, name: str, values: Mapping[str, Any]) -> str:
        template = self._own.get(name)
        if template is not None:
            try:
                text, failure = str(template.render(values)), "says nothing"
            except Exception as error:  # noqa: BLE001  # a template may do anything; people must hear
                text, failure = "", type(error).__name__
            if text.strip() or name == "link":
                return text
            metrics.TEMPLATE_FAILURES.inc()
            log.warning("template failed, the default one is used", template=name, error=failure)
        return str(_DEFAULT[name].render(values))


def _compiled(name: str, text: str) -> Any:
    try:
        unknown = find_undeclared_variables(_ENVIRONMENT.parse(text)) - CONTEXT
        if unknown:
            raise NotificationTemplateError(
                f"names {', '.join(sorted(unknown))}, which a {name} does not have; there are "
                f"{', '.join(sorted(CONTEXT))}."
            )
        return _ENVIRONMENT.from_string(text)
    except TemplateError as error:
        raise NotificationTemplateError(f"is no template: {str(error).rstrip('.')}.") from error


def context(notice: Notice, message: Message) -> dict[str, Any]:
    """What a template may name."""
    until = notice.until if notice.state == RESOLVED else None
    return {
        "id": notice.subject,
        "kind": notice.kind,
        "state": notice.state,
        "severity": notice.severity,
        "name": notice.name,
        "title": notice.title,
        "labels": dict(notice.labels),
        "value": notice.value,
        "threshold": notice.threshold,
        "samples": notice.samples,
        "since": moment_text(notice.since),
        "until": None if until is None else moment_text(until),
        "duration": duration_text((notice.at if until is None else until) - notice.since),
        "actor": notice.actor,
        "description": notice.description,
        "news": notice.news,
        "runbook_url": notice.runbook_url,
        "acknowledge": acknowledging(notice),
        "count": len(message.newest),
        "repeat": message.repeat,
    }


CONTEXT: Final = {
    "id", "kind", "state", "severity", "name", "title", "labels", "value", "threshold", "samples",
    "since", "until", "duration", "actor", "description", "news", "runbook_url", "acknowledge",
    "count", "repeat",
}  # fmt: skip
_DEFAULT: Final = {name: _compiled(name, text) for name, text in DEFAULTS.items()}


def acknowledging(notice: Notice) -> str:
    """The command that says that somebody has it."""
    what = "alerts" if notice.kind == ALERT else "incidents"
    return f"inferwatch {what} ack {notice.subject}"


def duration_text(micros: int) -> str:
    """A duration for people, in its two largest units: ``1h 5m``."""
    seconds = max(0, micros) // 1_000_000
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
