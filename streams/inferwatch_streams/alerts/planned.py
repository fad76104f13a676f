"""What a rules file says of alerts beyond its rules: maintenance windows, and inhibition."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.alerts import inhibition, maintenance
from inferwatch_streams.alerts.inhibition import Inhibition
from inferwatch_streams.alerts.maintenance import Maintenance
from inferwatch_streams.alerts.settings import AlertSettings
from inferwatch_streams.errors import MatcherError, StreamsSettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from inferwatch_streams.configuration.file import ConfigurationFile, Problem

    T = TypeVar("T")

#: JSON Schema of the two sections, as properties of the file; both may be left out.
PROPERTIES: Final[Mapping[str, Any]] = {
    "maintenance": {"type": "array", "items": maintenance.SCHEMA},
    "inhibitions": {"type": "array", "items": inhibition.SCHEMA},
}


def planned(file: ConfigurationFile, settings: AlertSettings | None = None) -> AlertSettings:
    """Settings with what a file says, which fulfils ``PROPERTIES``.

    Args:
        file: The file.
        settings: The rest of them; defaults when None.

    Raises:
        ConfigurationError: A matcher, time or time zone is none, or a name is given twice; tells of
            each with its line.
    """
    problems: list[Problem] = []
    windows = _parsed(file, "maintenance", Maintenance.parse, problems)
    names = [entry["name"] for entry in file.data.get("maintenance", ())]
    problems += [
        file.problem(("maintenance", number, "name"), f"{name!r} is the name of another, too")
        for number, name in enumerate(names)
        if name in names[:number]
    ]
    inhibitions = _parsed(file, "inhibitions", Inhibition.parse, problems)
    file.refuse(problems)
    return replace(settings or AlertSettings(), maintenance=windows, inhibitions=inhibitions)


def _parsed(
    file: ConfigurationFile,
    section: str,
    parse: Callable[[Mapping[str, Any]], T],
    problems: list[Problem],
) -> tuple[T, ...]:
    found = []
    for number, entry in enumerate(file.data.get(section, ())):
        try:
            found.append(parse(entry))
        except (MatcherError, StreamsSettingsError) as error:
            problems.append(file.problem((section, number), str(error)))
    return tuple(found)
