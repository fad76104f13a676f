"""Whether data fulfils a JSON Schema, yes or no: a small part of ``jsonschema``, many times as fast.

Of ten thousand rules ``jsonschema`` takes seconds, and nearly always to say that nothing is wrong.
What is told here to be fulfilled is so by JSON Schema (draft 2020-12, "Validation"); of the rest
``jsonschema`` says what is wrong, also where a schema uses what is not known here.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any], bool]
    Schema = Mapping[str, Any]

# They say nothing of the data.
_WORDS: Final = {
    "$schema", "$id", "$defs", "title", "description", "examples", "default", "format",
}  # fmt: skip
_LOCAL: Final = "#/$defs/"


class UnknownKeywordError(Exception):
    """A schema, or the data, has something that is not known here."""


def fulfilment(schema: Schema) -> Check:
    """A function that says of data whether it fulfils a schema.

    Raises:
        UnknownKeywordError: The schema uses what is not known here; the function that is returned
            raises it where that depends on the data.
    """
    return _Compiling(schema).check(schema)


class _Compiling:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._references: dict[str, list[Check]] = {}

    def check(self, schema: Schema | bool) -> Check:
        """Of a part of the schema."""
        if isinstance(schema, bool):
            return lambda _: schema
        checks = [
            self._keyword(word, schema) for word in schema if word not in _WORDS | _BESIDE.keys()
        ]
        if any(word not in schema for beside, word in _BESIDE.items() if beside in schema):
            raise UnknownKeywordError
        if len(checks) == 1:
            return checks[0]
        return lambda data: all(check(data) for check in checks)

    def _keyword(self, word: str, schema: Schema) -> Check:
        wanted = schema[word]
        if word in _SIMPLE:
            return _SIMPLE[word](wanted)
        match word:
            case "$ref":
                return self._reference(wanted)
            case "allOf":
                parts = [self.check(each) for each in wanted]
                return lambda data: all(part(data) for part in parts)
            case "anyOf":
                parts = [self.check(each) for each in wanted]
                return lambda data: any(part(data) for part in parts)
            case "oneOf":
                parts = [self.check(each) for each in wanted]
                return lambda data: sum(part(data) for part in parts) == 1
            case "not":
                part = self.check(wanted)
                return lambda data: not part(data)
            case "if":
                return self._if(schema)
            case "items":
                item = self.check(wanted)
                return lambda data: not isinstance(data, list) or all(map(item, data))
            case "propertyNames":
                name = self.check(wanted)
                return lambda data: not isinstance(data, dict) or all(map(name, data))
            case "properties" | "additionalProperties":
                return self._properties(schema, word)
        raise UnknownKeywordError(word)

    def _reference(self, name: str) -> Check:
        if not name.startswith(_LOCAL):
            raise UnknownKeywordError
        # A schema may hold itself.
        found = self._references.get(name)
        if found is None:
            found = self._references[name] = []
            found.append(self.check(self._root["$defs"][name.removeprefix(_LOCAL)]))
        return lambda data: found[0](data)

    def _if(self, schema: Schema) -> Check:
        condition = self.check(schema["if"])
        then, other = (self.check(schema.get(word, True)) for word in ("then", "else"))
        return lambda data: then(data) if condition(data) else other(data)

    def _properties(self, schema: Schema, word: str) -> Check:
        if word == "properties":
            known = {name: self.check(each) for name, each in schema[word].items()}
            return lambda data: not isinstance(data, dict) or all(
                known[name](value) for name, value in data.items() if name in known
            )
        named, rest = schema.get("properties", {}).keys(), self.check(schema[word])
        return lambda data: not isinstance(data, dict) or all(
            rest(value) for name, value in data.items() if name not in named
        )


def _number(data: Any) -> bool:
    return isinstance(data, int | float) and not isinstance(data, bool)


def _integer(data: Any) -> bool:
    return _number(data) and (isinstance(data, int) or data.is_integer())


_TYPES: Final[Mapping[str, Check]] = {
    "object": lambda data: isinstance(data, dict),
    "array": lambda data: isinstance(data, list),
    "string": lambda data: isinstance(data, str),
    "boolean": lambda data: isinstance(data, bool),
    "null": lambda data: data is None,
    "number": _number,
    "integer": _integer,
}


def _type(wanted: str | list[str]) -> Check:
    kinds = [_TYPES[name] for name in ([wanted] if isinstance(wanted, str) else wanted)]
    return kinds[0] if len(kinds) == 1 else lambda data: any(kind(data) for kind in kinds)


def _texts(wanted: list[Any]) -> Check:
    """One of some texts; other data is equal in ways of its own."""
    if not all(isinstance(each, str) for each in wanted):
        raise UnknownKeywordError
    texts = frozenset(wanted)
    return lambda data: isinstance(data, str) and data in texts


def _pattern(wanted: str) -> Check:
    search = re.compile(wanted).search
    return lambda data: not isinstance(data, str) or search(data) is not None


def _unique(wanted: bool) -> Check:  # noqa: FBT001  # as the schema has it
    def check(data: Any) -> bool:
        if not wanted or not isinstance(data, list):
            return True
        if not all(isinstance(each, str) for each in data):
            # Whether true is 1, and 1 is 1.0, is told by others.
            raise UnknownKeywordError
        return len(set(data)) == len(data)

    return check


def _size(kind: type, fits: Callable[[int, int], bool]) -> Callable[[int], Check]:
    return lambda wanted: lambda data: not isinstance(data, kind) or fits(len(data), wanted)


def _unless(beyond: Callable[[float, float], bool]) -> Callable[[float], Check]:
    # What is not a number (.nan) is beyond nothing.
    return lambda wanted: lambda data: not _number(data) or not beyond(data, wanted)


#: Keywords that need nothing but their own value: makes the check of it.
_SIMPLE: Final[Mapping[str, Callable[[Any], Check]]] = {
    "type": _type,
    "enum": _texts,
    "const": lambda wanted: _texts([wanted]),
    "pattern": _pattern,
    "uniqueItems": _unique,
    "required": lambda wanted: lambda data: (
        not isinstance(data, dict) or all(name in data for name in wanted)
    ),
    "minLength": _size(str, operator.ge),
    "maxLength": _size(str, operator.le),
    "minItems": _size(list, operator.ge),
    "maxItems": _size(list, operator.le),
    "minProperties": _size(dict, operator.ge),
    "maxProperties": _size(dict, operator.le),
    "minimum": _unless(operator.lt),
    "maximum": _unless(operator.gt),
    "exclusiveMinimum": _unless(operator.le),
    "exclusiveMaximum": _unless(operator.ge),
}
#: Keywords that mean something only beside another, with which they are looked at.
_BESIDE: Final = {"then": "if", "else": "if"}
