"""Matchers of labels, as Alertmanager's: = and != compare, =~ and !~ match the whole value."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from inferwatch_streams.alerts import patterns
from inferwatch_streams.errors import MatcherError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Of a pattern, in what is told of it.
MOST_SHOWN: Final = 100
OPERATORS: Final = ("=", "!=", "=~", "!~")
_WRITTEN: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a label that is absent counts as empty.

    Attributes:
        name: Label to look at.
        operator: One of ``OPERATORS``.
        value: Text, or regular expression (Python's ``re``), that the label's value is held to.
    """

    name: str
    operator: str
    value: str
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            MatcherError: The operator is unknown, or the regular expression is none, or one that
                might never end.
        """
        if self.operator not in OPERATORS:
            raise MatcherError(
                f"{self.operator!r} between {self.name} and {self.value!r} is no operator; "
                "write =, !=, =~ or !~."
            )
        if self.operator.endswith("~"):
            told = f"{_shortened(self.value)!r}, which {self.name} is held to,"
            try:
                refused = patterns.why_not(self.value)
                pattern = re.compile(self.value) if refused is None else None
            except (re.error, OverflowError, RecursionError) as error:
                raise MatcherError(f"{told} is no regular expression: {error}.") from error
            if refused is not None:
                raise MatcherError(f"{told} {refused}.")
            object.__setattr__(self, "_pattern", pattern)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A matcher as written: ``service="chat"``, ``severity=~high|critical``.

        Raises:
            MatcherError: It is none.
        """
        written = _WRITTEN.fullmatch(text)
        if written is None:
            raise MatcherError(f'{text!r} is no matcher; write as in service="chat".')
        name, operator, value = written.groups()
        quoted = _QUOTED.fullmatch(value)
        if quoted is not None:
            value = re.sub(r"\\(.)", r"\1", quoted.group(1), flags=re.DOTALL)
        return cls(name, operator, value)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """A matcher of a record of silence or command.

        Raises:
            MatcherError: It is none.
        """
        return cls(record["name"], record["operator"], record["value"])

    def to_record(self) -> dict[str, str]:
        """As records have it."""
        return {"name": self.name, "operator": self.operator, "value": self.value}

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels fulfil it."""
        value = labels.get(self.name, "")
        if self._pattern is None:
            return (value == self.value) == (self.operator == "=")
        return (self._pattern.fullmatch(value) is not None) == (self.operator == "=~")

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.name}{self.operator}"{escaped}"'


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def all_match(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> bool:
    """Whether labels fulfil all of them; none are fulfilled by any labels."""
    return all(matcher.matches(labels) for matcher in matchers)
