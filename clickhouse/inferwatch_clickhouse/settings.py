"""How to reach ClickHouse over HTTP, embedded or not."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from inferwatch_clickhouse.errors import ClickHouseSettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBERS = ("connect_seconds", "answer_seconds")


@dataclass(frozen=True, slots=True)
class ClickHouseSettings:
    """Where ClickHouse is, who asks, and how long an answer may take.

    Attributes:
        url: HTTP interface, ``http://host:port`` or ``https://host:port``, with a path where a
            proxy needs one.
        database: The database that holds Inferwatch's tables.
        user: Name of the user.
        password: Empty when there is none.
        connect_seconds: How long a connection may take to open.
        answer_seconds: How long ClickHouse may be silent while it answers.
    """

    url: str = "http://127.0.0.1:8123"
    database: str = "inferwatch"
    user: str = "default"
    password: str = field(default="", repr=False)
    connect_seconds: float = 5
    answer_seconds: float = 300

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ClickHouseSettingsError(
                f"ClickHouse's URL is {self.url!r}; use http://HOST:PORT or https://HOST:PORT."
            )
        if parts.username is not None or parts.password is not None:
            raise ClickHouseSettingsError(
                "ClickHouse's URL must not hold user and password; set them on their own."
            )
        if not _NAME.fullmatch(self.database):
            raise ClickHouseSettingsError(
                f"ClickHouse's database is {self.database!r}; "
                "use letters, digits and underscores, and no digit first."
            )
        if not self.user:
            raise ClickHouseSettingsError("ClickHouse's user is empty; use default or another.")
        for name in _NUMBERS:
            if not getattr(self, name) > 0:
                raise ClickHouseSettingsError(
                    f"ClickHouse's {name} is {getattr(self, name)!r}; it must be above 0."
                )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ClickHouseSettings:
        """Settings from ``INFERWATCH_CLICKHOUSE_*``: URL, DATABASE, USER, PASSWORD, ...

        Raises:
            ClickHouseSettingsError: A setting is missing or cannot be.
        """
        texts: dict[str, str] = {}
        numbers: dict[str, float] = {}
        for name in cls.__slots__:
            variable = f"INFERWATCH_CLICKHOUSE_{name.upper()}"
            if variable not in environment:
                continue
            if name not in _NUMBERS:
                texts[name] = environment[variable]
                continue
            try:
                numbers[name] = float(environment[variable])
            except ValueError as error:
                raise ClickHouseSettingsError(
                    f"{variable} is {environment[variable]!r}; it must be a number of seconds."
                ) from error
        return cls(**texts, **numbers)  # type: ignore[arg-type]  # mypy takes numbers for any field

    def to_environment(self) -> dict[str, str]:
        """The variables from which ``from_environment`` makes the same settings."""
        return {
            f"INFERWATCH_CLICKHOUSE_{name.upper()}": str(getattr(self, name))
            for name in self.__slots__
        }
