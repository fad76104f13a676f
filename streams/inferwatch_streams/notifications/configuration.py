"""The file of notifications: read, checked, and made into channels and routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.configuration.durations import SECOND, duration
from inferwatch_streams.configuration.file import ConfigurationFile, Problem
from inferwatch_streams.errors import MatcherError
from inferwatch_streams.notifications.channels.kinds import DEFAULT_RESEND, KINDS, secrets_of
from inferwatch_streams.notifications.file_schema import FILE_SCHEMA
from inferwatch_streams.notifications.manner import Limit, Manner, Timing
from inferwatch_streams.notifications.routing import Route, Routing, Taste
from inferwatch_streams.notifications.secret import SCHEMA as SECRET
from inferwatch_streams.notifications.secret import SecretError, find_secret
from inferwatch_streams.notifications.templates import NotificationTemplateError, Templates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from inferwatch_streams.notifications.channels.kinds import Channel
    from inferwatch_streams.notifications.secret import Secret

_COMMON: Final = frozenset({
    "type", "send_resolved", "send_acknowledged", "timeout", "give_up_after", "limit", "templates",
})  # fmt: skip
_REFERENCES: Final = ({"env"}, {"file"})
_URLS: Final = ("url", "api_url")
#: Of all kinds, for a channel whose kind is not known.
_SECRET_FIELDS: Final = {
    name: SECRET for kind in KINDS.values() for name, of in kind.fields.items() if of is SECRET
}


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """One channel as configured.

    Attributes:
        name: Its name.
        kind: One of ``KINDS``.
        options: What its kind takes, secrets in place.
        timeout_seconds: How long one attempt may take.
        manner: How it is told.
        templates: Its words.
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    timeout_seconds: float
    manner: Manner
    templates: Templates

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Its secrets."""
        return secrets_of(dict(self.options))

    def open(self) -> Channel:
        """What sends its messages.

        Raises:
            SecretError: A secret is of another form than its kind takes.
        """
        return KINDS[self.kind].build(dict(self.options), self.timeout_seconds)


@dataclass(frozen=True, slots=True)
class NotificationsConfiguration:
    """Everything that the file says.

    Attributes:
        channels: By name.
        routing: Which alerts go where.
    """

    channels: Mapping[str, ChannelSettings] = field(default_factory=dict)
    routing: Routing = field(default_factory=Routing)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All secrets."""
        return tuple(secret for one in self.channels.values() for secret in one.secrets)


def read_configuration(path: Path, environment: Mapping[str, str]) -> NotificationsConfiguration:
    """What a file says.

    Args:
        path: The file.
        environment: Where secrets may be.

    Raises:
        ConfigurationError: It cannot be used; tells of every field, and never of a secret.
    """
    # Read once: it may be written at any time.
    file = ConfigurationFile.read(path, {})
    # What does not fulfil the schema is told with its value, so secrets are looked for before.
    refuse_literal_secrets(file)
    file.hold_against(FILE_SCHEMA)
    return configuration_of(file, environment)


def refuse_literal_secrets(file: ConfigurationFile) -> None:
    """Refuse a file that holds secrets themselves, without showing them.

    Raises:
        ConfigurationError: It does; names the fields.
    """
    file.refuse(
        file.problem(
            path,
            "must not be the secret itself; write {env: NAME} or {file: PATH}, which say where "
            "it is.",
        )
        for path in _literal_secrets(file.data, ())
    )


def _literal_secrets(data: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Where secrets stand, be it at a place where no channel should be."""
    if isinstance(data, list):
        for number, value in enumerate(data):
            yield from _literal_secrets(value, (*path, number))
    elif isinstance(data, dict):
        for key, value in data.items():
            at = (*path, str(key))
            # A channel may be called like a field.
            is_channels = path == ("channels",) and isinstance(value, dict)
            if not is_channels and _is_literal_secret(data.get("type"), key, value):
                yield at
            else:
                yield from _literal_secrets(value, at)


def _is_literal_secret(kind: Any, key: Any, value: Any) -> bool:
    fields = KINDS[kind].fields if isinstance(kind, str) and kind in KINDS else _SECRET_FIELDS
    if isinstance(value, dict) and set(value) in _REFERENCES:
        return False
    # A password in an address would be one, too.
    return fields.get(key) is SECRET or (key in _URLS and "@" in str(value))


def configuration_of(
    file: ConfigurationFile, environment: Mapping[str, str]
) -> NotificationsConfiguration:
    """What a file that fulfils the schema says; see ``read_configuration``."""
    problems: list[Problem] = []
    shared = file.data.get("templates", {})
    channels = {}
    for name in file.data["channels"]:
        channel, wrong = _channel(file, name, shared, environment)
        problems += wrong
        if channel is not None:
            channels[name] = channel
    routes = file.data.get("routes", [])
    problems += _unknown(file, routes, file.data["channels"])
    made = [_route(file, number, given, problems) for number, given in enumerate(routes)]
    file.refuse(problems)
    tastes = {name: _taste(given) for name, given in file.data["channels"].items()}
    return NotificationsConfiguration(channels, Routing(tuple(made), tastes))


def _channel(
    file: ConfigurationFile, name: str, shared: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[ChannelSettings | None, list[Problem]]:
    at = ("channels", name)
    given = file.data["channels"][name]
    problems: list[Problem] = []
    options: dict[str, Any] = {}
    for key, value in given.items():
        if key in _COMMON:
            continue
        try:
            is_secret = isinstance(value, dict) and set(value) in _REFERENCES
            options[key] = find_secret(value, environment) if is_secret else value
        except SecretError as error:
            problems.append(file.problem((*at, key), str(error)))
    own = given.get("templates", {})
    for key, text in {**shared, **own}.items():
        try:
            Templates({key: text})
        except NotificationTemplateError as error:
            where = (*at, "templates", key) if key in own else ("templates", key)
            problems.append(file.problem(where, str(error)))
    problems += _zero(file, at, given)
    if {"webhook_url", "token"} <= set(options):
        problems.append(file.problem(at, "has a webhook_url and a token; give one of them."))
    if problems:
        return None, problems
    templates = Templates({**shared, **own})
    kind = KINDS[given["type"]]
    limit = given.get("limit", {"messages": kind.messages_per_minute, "per": "1m"})
    settings = ChannelSettings(
        name,
        given["type"],
        options,
        _seconds(given.get("timeout", "10s")),
        Manner(
            limit=Limit(limit["messages"], _seconds(limit["per"])),
            give_up_seconds=_seconds(given.get("give_up_after", "10m")),
            one_by_one=kind.one_by_one,
            mirrors=kind.mirrors,
        ),
        templates,
    )
    try:
        settings.open()
    except SecretError as error:
        problems.append(file.problem(at, str(error)))
    return settings, problems


def _zero(
    file: ConfigurationFile, at: tuple[str, ...], given: Mapping[str, Any]
) -> Iterator[Problem]:
    """Times that cannot be nothing."""
    times = {
        (*at, name): given[name] for name in ("timeout", "give_up_after", "resend_interval")
        if name in given
    }  # fmt: skip
    if "limit" in given:
        times[*at, "limit", "per"] = given["limit"]["per"]
    for path, text in times.items():
        if not _seconds(text):
            yield file.problem(path, f"{text!r} is no time at all; give more than that.")


def _unknown(
    file: ConfigurationFile, routes: list[Mapping[str, Any]], channels: Mapping[str, Any]
) -> Iterator[Problem]:
    for number, route in enumerate(routes):
        for index, name in enumerate(route["channels"]):
            if name not in channels:
                yield file.problem(
                    ("routes", number, "channels", index),
                    f"{name!r} is no channel; there are: {', '.join(channels) or 'none'}.",
                )


def _seconds(text: str) -> float:
    return duration(text) / SECOND


def _route(
    file: ConfigurationFile, number: int, given: Mapping[str, Any], problems: list[Problem]
) -> Route:
    matchers = []
    for index, text in enumerate(given.get("match", [])):
        try:
            matchers.append(Matcher.parse(text))
        except MatcherError as error:
            problems.append(file.problem(("routes", number, "match", index), str(error)))
    repeat = given.get("repeat_interval", "4h")
    if not _seconds(repeat):
        problems.append(
            file.problem(("routes", number, "repeat_interval"), "'0s' would repeat without end.")
        )
    group_by = given.get("group_by")
    return Route(
        channels=tuple(given["channels"]),
        matchers=tuple(matchers),
        goes_on=given.get("continue", False),
        group_by=None if group_by is None else tuple(group_by),
        timing=Timing(
            _seconds(given.get("group_wait", "0s")),
            _seconds(given.get("group_interval", "1m")),
            _seconds(repeat),
        ),
    )


def _taste(given: Mapping[str, Any]) -> Taste:
    kind = KINDS[given["type"]]
    resend = given.get("resend_interval", DEFAULT_RESEND)
    return Taste(
        resolved=given.get("send_resolved", True),
        acknowledged=given.get("send_acknowledged", kind.acknowledged),
        one_by_one=kind.one_by_one,
        mirror_seconds=_seconds(resend) if kind.mirrors else None,
    )
