"""Whether data fulfils a JSON Schema, yes or no: a part of ``jsonschema``, many times as fast.

Of ten thousand rules ``jsonschema`` takes seconds, and nearly always to say that nothing is wrong.
What is told here to be fulfilled is so by JSON Schema (draft 2020-12, "Validation"); of the rest
``jsonschema`` says what is wrong, also where a schema uses what is not known here.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Check = Callable[[Any], bool]
    Schema = Mapping[str, Any]

# They say nothing of the data: of formats, only where somebody asks for it.
_WORDS: Final = {
    "$schema", "$id", "$defs", "title", "description", "examples", "default", "format",
}  # fmt: skip
# They mean something only beside another, with which they are looked at.
_BESIDE: Final = {"then": "if", "else": "if"}
_IGNORED: Final = _WORDS | _BESIDE.keys()
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
        self._references: dict[str, Check] = {}
        #: Keywords that hold schemas: makes the check of one from its schema.
        self._nested: Mapping[str, Callable[[Schema], Check]] = {
            "$ref": self._reference,
            "allOf": self._all_of,
            "anyOf": self._any_of,
            "oneOf": self._one_of,
            "not": self._not,
            "if": self._if,
            "items": self._items,
            "properties": self._properties,
            "additionalProperties": self._others,
            "propertyNames": self._names,
        }

    def check(self, schema: Schema | bool) -> Check:  # noqa: FBT001  # both are schemas
        """Of a part of the schema."""
        if isinstance(schema, bool):
            return lambda _: schema
        if any(word not in schema for beside, word in _BESIDE.items() if beside in schema):
            raise UnknownKeywordError
        checks = [self._keyword(word, schema) for word in schema if word not in _IGNORED]
        if len(checks) == 1:
            return checks[0]
        return lambda data: all(check(data) for check in checks)

    def _keyword(self, word: str, schema: Schema) -> Check:
        if word in _SIMPLE:
            return _SIMPLE[word](schema[word])
        if word in self._nested:
            return self._nested[word](schema)
        raise UnknownKeywordError(word)

    def _each(self, schemas: Sequence[Schema | bool]) -> list[Check]:
        return [self.check(each) for each in schemas]

    def _all_of(self, schema: Schema) -> Check:
        parts = self._each(schema["allOf"])
        return lambda data: all(part(data) for part in parts)

    def _any_of(self, schema: Schema) -> Check:
        parts = self._each(schema["anyOf"])
        return lambda data: any(part(data) for part in parts)

    def _one_of(self, schema: Schema) -> Check:
        parts = self._each(schema["oneOf"])
        return lambda data: sum(part(data) for part in parts) == 1

    def _not(self, schema: Schema) -> Check:
        part = self.check(schema["not"])
        return lambda data: not part(data)

    def _if(self, schema: Schema) -> Check:
        condition = self.check(schema["if"])
        then, other = (self.check(schema.get(word, True)) for word in ("then", "else"))
        return lambda data: then(data) if condition(data) else other(data)

    def _reference(self, schema: Schema) -> Check:
        name = schema["$ref"]
        if not name.startswith(_LOCAL):
            raise UnknownKeywordError(name)
        known = self._references
        if name not in known:
            # A schema may hold itself: what is looked up is there when data comes.
            known[name] = _never
            known[name] = self.check(self._root["$defs"][name.removeprefix(_LOCAL)])
        return lambda data: known[name](data)  # noqa: PLW0108  # not what is there now

    def _items(self, schema: Schema) -> Check:
        item = self.check(schema["items"])
        return lambda data: not isinstance(data, list) or all(map(item, data))

    def _names(self, schema: Schema) -> Check:
        name = self.check(schema["propertyNames"])
        return lambda data: not isinstance(data, dict) or all(map(name, data))

    def _properties(self, schema: Schema) -> Check:
        known = {name: self.check(each) for name, each in schema["properties"].items()}
        return lambda data: (
            not isinstance(data, dict)
            or all(known[name](value) for name, value in data.items() if name in known)
        )

    def _others(self, schema: Schema) -> Check:
        named, rest = schema.get("properties", {}), self.check(schema["additionalProperties"])
        return lambda data: (
            not isinstance(data, dict)
            or all(rest(value) for name, value in data.items() if name not in named)
        )


def _never(_: Any) -> bool:
    return False


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


def _size(
    kind: type[str | list[Any] | dict[Any, Any]], fits: Callable[[int, int], bool]
) -> Callable[[int], Check]:
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
    "required": lambda wanted: (
        lambda data: not isinstance(data, dict) or all(name in data for name in wanted)
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
