"""What the settings of the roles rules, incidents and notifications have in common."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from inferwatch_schemas.environment import check_above_zero, converted
from inferwatch_schemas.faust import check_fetch_bytes
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_streams.errors import StreamsSettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from dataclasses import Field

_KINDS: Final[Mapping[object, type[int | float | str]]] = {"int": int, "float": float, "str": str}


class RoleSettings(Protocol):
    """A role's settings: a dataclass of numbers, all above 0, and of what ``read`` returns besides.

    Attributes:
        group: Consumer group.
        fetch_bytes: Most bytes of one partition in one fetch.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def group(self) -> str: ...  # noqa: D102  # above

    @property
    def fetch_bytes(self) -> int: ...  # noqa: D102  # above


def check(settings: RoleSettings, prefix: str) -> None:
    """Hold settings against what is asked of all roles.

    Args:
        settings: They.
        prefix: What their variables begin with.

    Raises:
        StreamsSettingsError: One cannot be.
    """
    if not settings.group:
        raise StreamsSettingsError(f"{prefix}_GROUP is empty; name a consumer group.")
    kinds = _variables(settings)
    numbers = {name: getattr(settings, name) for name, kind in kinds.items() if kind is not str}
    check_above_zero(numbers, prefix, StreamsSettingsError)
    check_fetch_bytes(settings.fetch_bytes, prefix, StreamsSettingsError)


def read(
    settings: type[RoleSettings], prefix: str, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Fields of settings from ``PREFIX_*``, ``INFERWATCH_KAFKA_*`` and ``_REGISTRY_URL``.

    Args:
        settings: Their class.
        prefix: What their variables begin with.
        environment: All variables.

    Raises:
        StreamsSettingsError: A value is not of its type.
        KafkaSettingsError: The connection settings cannot be.
    """
    file = environment.get(f"{prefix}_FILE")
    return {
        "kafka": KafkaSettings.from_environment(environment),
        "registry_url": environment.get("INFERWATCH_REGISTRY_URL"),
        "file": Path(file) if file else None,
        **converted(environment, prefix, _variables(settings), StreamsSettingsError),
    }


def _variables(settings: RoleSettings | type[RoleSettings]) -> dict[str, type[int | float | str]]:
    """Names and types of those that are one word or number; types stand in fields as written."""
    return {each.name: _KINDS[each.type] for each in fields(settings) if each.type in _KINDS}
