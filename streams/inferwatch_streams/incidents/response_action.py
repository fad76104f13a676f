"""What a response action is, and how ours and a team's own are found by name.

An action is made by an entry point of the group ``inferwatch.response_actions``: a callable that
takes the options of the file of incidents and a ``Surroundings``, and returns a ``ResponseAction``.
It may have more than that asks for:

``undo(context, token) -> str``
    Takes back what it did; ``token`` is the ``undo`` of its outcome, and what is returned is told.
    It must bear being done twice.
``measure(context) -> float | None``
    What the action is to bring down, now; without it, the configured metric is measured.
``plan(context) -> str``
    What it would do, for a dry run.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from inferwatch_streams.errors import ConfigurationError, StreamsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_streams.alerts.alert import Alert
    from inferwatch_streams.incidents.incident import Incident

GROUP: Final = "inferwatch.response_actions"


class Meter(Protocol):
    """Measures what users of services see."""

    def __call__(
        self, metric: str, services: tuple[str, ...], start: int, end: int
    ) -> float | None:
        """A metric over [start, end) in microseconds since 1970; None where there is nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What actions are made with, besides their options.

    Attributes:
        environment: The worker's variables, with the connections it was started with.
        name: What the action is called in the file.
    """

    environment: Mapping[str, str] = field(repr=False)
    name: str

    def secret(self, options: Mapping[str, Any], name: str) -> str | None:
        """An option's value: itself, or from the variable or file that NAME_env or NAME_file names.

        Raises:
            ConfigurationError: The variable is not set, or the file cannot be read.
        """
        if (variable := options.get(f"{name}_env")) is not None:
            if variable not in self.environment:
                raise ConfigurationError(f"{name}_env names {variable}, which is not set.")
            return self.environment[variable]
        if (path := options.get(f"{name}_file")) is not None:
            try:
                with open(path, encoding="utf-8") as file:  # noqa: PTH123  # as the option has it, text
                    return file.read().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{name}_file cannot be read: {error}") from error
        value = options.get(name)
        return None if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Context:
    """What an action acts on.

    Attributes:
        incident: As it is when the action begins.
        alerts: Its alerts, as far as they are known.
        at: Now, in microseconds since 1970 (UTC).
    """

    incident: Incident
    alerts: tuple[Alert, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an action.

    Attributes:
        result: For people.
        undo: What ``undo`` needs to know to take it back; None where there is nothing to take back.
        targets: Channels that are to be told of the incident now.
    """

    result: str
    undo: str | None = None
    targets: tuple[str, ...] = ()


@runtime_checkable
class ResponseAction(Protocol):
    """Something that is done once for an incident; called in a thread.

    Attributes:
        name: What it is called in the file.
        changes: Whether it changes something: then it only says what it would do, until the file
            has ``dry_run: false``, and it is measured whether it helped.
        idempotent: Whether it may be done twice for an incident and it is as if once. Only then is
            it done again where it is unknown whether it was.
    """

    name: str
    changes: bool
    idempotent: bool

    def run(self, context: Context) -> Outcome:
        """Do it.

        Raises:
            ActionFailedError: It failed; says whether it may be tried again, and may have run.
        """
        ...


def made(uses: str, options: Mapping[str, Any], surroundings: Surroundings) -> ResponseAction:
    """The action of an entry point.

    Raises:
        ConfigurationError: There is none of that name, or the options are not what it takes.
    """
    found = [entry for entry in entry_points(group=GROUP) if entry.name == uses]
    if not found:
        names = ", ".join(sorted(entry.name for entry in entry_points(group=GROUP)))
        raise ConfigurationError(f"there is no response action {uses!r}; there are: {names}")
    try:
        action = found[0].load()(options, surroundings)
    except StreamsError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{uses!r} cannot be made: {error}") from error
    if not isinstance(action, ResponseAction):
        raise ConfigurationError(f"{uses!r} is no response action: it lacks a part of it")
    return action


def can_undo(action: ResponseAction) -> bool:
    """Whether an action can take back what it did."""
    with contextlib.suppress(AttributeError):
        return callable(action.undo)  # type: ignore[attr-defined]  # optional, as said above
    return False
