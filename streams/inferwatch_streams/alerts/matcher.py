"""Matchers of labels, as Alertmanager's: = and != compare, =~ and !~ match the whole value.

Any command, and any line of a file, may bring a pattern, and any service a label of many KB, so
regular expressions are RE2's, as Alertmanager's are: their time grows with the value's length and
no more (docs/decisions/0041).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Self

import re2  # type: ignore[import-untyped]  # it has no types

from inferwatch_streams.errors import MatcherError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Of a pattern.
MOST_CHARACTERS: Final = 1000
#: What a pattern may take when it is compiled, and while it matches.
MOST_BYTES: Final = 1 << 20
#: Of a value, for what it fits to be remembered: most are of a few, as severities are.
MOST_REMEMBERED: Final = 256
#: Of a pattern, in what is told of it.
MOST_SHOWN: Final = 100
OPERATORS: Final = ("=", "!=", "=~", "!~")
_WRITTEN: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True
_OPTIONS.max_mem = MOST_BYTES


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a label that is absent counts as empty.

    Attributes:
        name: Label to look at.
        operator: One of ``OPERATORS``.
        value: Text, or regular expression (RE2's), that the label's value is held to.
    """

    name: str
    operator: str
    value: str
    _pattern: Any = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            MatcherError: The operator is unknown, or the regular expression is none, or too large.
        """
        if self.operator not in OPERATORS:
            raise MatcherError(
                f"{self.operator!r} between {self.name} and {self.value!r} is no operator; "
                "write =, !=, =~ or !~."
            )
        if self.operator.endswith("~"):
            object.__setattr__(self, "_pattern", self._compiled())

    def _compiled(self) -> Any:
        told = f"{_shortened(self.value)!r}, which {self.name} is held to,"
        if len(self.value) > MOST_CHARACTERS:
            raise MatcherError(f"{told} has more than {MOST_CHARACTERS} characters.")
        try:
            return re2.compile(self.value, _OPTIONS)
        except re2.error as error:
            why = _shortened(error.args[0].decode(errors="replace"))
            raise MatcherError(f"{told} is no regular expression of RE2: {why}.") from error
        except UnicodeEncodeError as error:
            raise MatcherError(f"{told} is no text: {error.reason}.") from error

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
        fits = _fits if len(value) > MOST_REMEMBERED else _fits_remembered
        return fits(self._pattern, value) == (self.operator == "=~")

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.name}{self.operator}"{escaped}"'


def _fits(pattern: Any, value: str) -> bool:
    # Of bytes: of text, it would count back to characters, and lone surrogates are none.
    return pattern.fullmatch(value.encode(errors="replace")) is not None


_fits_remembered = lru_cache(maxsize=1 << 14)(_fits)


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def all_match(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> bool:
    """Whether labels fulfil all of them; none are fulfilled by any labels."""
    return all(matcher.matches(labels) for matcher in matchers)
