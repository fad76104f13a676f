"""What a file of rules says of keeping alerts from people: maintenance windows, and inhibition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.alerts import inhibition, maintenance
from inferwatch_streams.alerts.inhibition import Inhibition
from inferwatch_streams.alerts.maintenance import Maintenance
from inferwatch_streams.alerts.settings import AlertSettings
from inferwatch_streams.errors import MatcherError, StreamsSettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_streams.configuration.file import ConfigurationFile, Problem

#: Fields of the file, beside the rules.
FIELDS: Final[Mapping[str, Any]] = {
    "maintenance": {
        "description": "Times in which alerts are kept from people.",
        "type": "array",
        "items": maintenance.SCHEMA,
    },
    "inhibitions": {
        "description": "Which alerts keep which others from people.",
        "type": "array",
        "items": inhibition.SCHEMA,
    },
}


def alerting_of(file: ConfigurationFile) -> AlertSettings:
    """How alerts behave by a file that fulfils the schema.

    Raises:
        ConfigurationError: An entry is wrong; a line for each.
    """
    found: list[Problem] = []
    planned = _each(file, "maintenance", Maintenance.parse, found)
    inhibitions = _each(file, "inhibitions", Inhibition.parse, found)
    names: dict[str, int] = {}
    for number, entry in enumerate(file.data.get("maintenance", ())):
        first = names.setdefault(entry["name"], number)
        if first != number:
            message = f"{entry['name']!r} is the name of maintenance[{first}], too"
            found.append(file.problem(("maintenance", number, "name"), message))
    file.refuse(found)
    return AlertSettings(maintenance=tuple(planned), inhibitions=tuple(inhibitions))


def _each(
    file: ConfigurationFile, name: str, parse: Callable[[Any], Any], found: list[Problem]
) -> list[Any]:
    parsed = []
    for number, entry in enumerate(file.data.get(name, ())):
        try:
            parsed.append(parse(entry))
        except (MatcherError, StreamsSettingsError) as error:
            found.append(file.problem((name, number), str(error)))
    return parsed
