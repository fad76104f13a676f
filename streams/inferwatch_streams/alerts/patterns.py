"""Which regular expressions may be held to labels: those that are sure to come to an end.

Python's ``re`` goes back and tries otherwise, and holds the interpreter meanwhile: ``(a+)+b`` takes
half a day over forty letters, in which a worker does nothing else. Any command, and any line of a
file, may bring a pattern, so what can go wrong so is refused before it is used (R. Cox, "Regular
Expression Matching Can Be Simple And Fast", https://swtch.com/~rsc/regexp/regexp1.html).
"""

from __future__ import annotations

import re

# The parser is not public; tests/unit/test_patterns.py holds what is used of it.
from re import _parser  # type: ignore[attr-defined]  # typeshed does not know it
from typing import Any, Final

MOST_CHARACTERS: Final = 1000
MOST_UNBOUNDED: Final = 4
"""Repetitions without an upper bound: the time may grow with a power of so many of the length."""
_REPEATS: Final = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_CATEGORIES: Final = {"WORD": re.compile(r"\w"), "DIGIT": re.compile(r"\d"),
                      "SPACE": re.compile(r"\s")}  # fmt: skip


def why_not(pattern: str) -> str | None:
    """Why a regular expression is refused; None where it may be used.

    Raises:
        re.error: It is no regular expression.
        OverflowError: Likewise: it repeats something more often than can be counted.
        RecursionError: Likewise: it is nested too deeply.
    """
    if len(pattern) > MOST_CHARACTERS:
        return f"has more than {MOST_CHARACTERS} characters"
    tree = _parser.parse(pattern)
    if _explodes(tree):
        return (
            "repeats what itself repeats or has alternatives, which may take for ever; begin or "
            r"end what is repeated with a character of its own, as in (\.[a-z]+)*"
        )
    if _unbounded(tree) > MOST_UNBOUNDED:
        return f"repeats without a bound more than {MOST_UNBOUNDED} times"
    return None


def _parts(name: str, given: Any) -> list[Any]:
    """The trees within a node."""
    if name in _REPEATS:
        return [given[2]]
    if name == "BRANCH":
        return list(given[1])
    if name in {"SUBPATTERN", "ASSERT", "ASSERT_NOT"}:
        return [given[-1]]
    if name == "GROUPREF_EXISTS":
        return [each for each in given[1:] if each is not None]
    return [given] if name == "ATOMIC_GROUP" else []


def _explodes(tree: Any) -> bool:
    for operation, given in tree:
        name = str(operation)
        if name in _REPEATS and given[1] > 1:
            choices = _choices(given[2])
            # With one choice between two delimiters, each text is read in one way alone.
            if choices > 1 or (choices and not _delimited(given[2])):
                return True
        if any(map(_explodes, _parts(name, given))):
            return True
    return False


def _choices(tree: Any) -> int:
    """How often reading a text as this may go on in several ways."""
    count = 0
    for operation, given in tree:
        name = str(operation)
        if name in {"BRANCH", "GROUPREF", "GROUPREF_EXISTS"}:
            # Alternatives may be alike.
            count += 2
        count += name in _REPEATS and given[0] != given[1]
        count += sum(map(_choices, _parts(name, given)))
    return count


def _delimited(tree: Any) -> bool:
    """Whether it begins or ends with a character that nothing else in it can be."""
    nodes = _flat(tree)
    for own, others in ((nodes[0], nodes[1:]), (nodes[-1], nodes[:-1])):
        if str(own[0]) == "LITERAL":
            character = chr(own[1])
            forms = {character, character.lower(), character.upper(), character.swapcase()}
            if not any(_may_be(node, form) for node in others for form in forms):
                return True
    return False


def _flat(tree: Any) -> list[Any]:
    """The nodes of a sequence, with those of its plain groups."""
    nodes: list[Any] = []
    for operation, given in tree:
        nodes += _flat(given[-1]) if str(operation) == "SUBPATTERN" else [(operation, given)]
    return nodes


def _may_be(node: Any, character: str) -> bool:
    """Whether a node may read a character; where it is not known, it may."""
    name, given = str(node[0]), node[1]
    if name == "LITERAL":
        return bool(chr(given) == character)
    if name == "IN":
        negated = str(given[0][0]) == "NEGATE"
        return any(_in_set(each, character) for each in given[negated:]) != negated
    parts = _parts(name, given)
    return not parts or any(_may_be(each, character) for part in parts for each in part)


def _in_set(entry: Any, character: str) -> bool:
    name, given = str(entry[0]), entry[1]
    if name == "LITERAL":
        return bool(chr(given) == character)
    if name == "RANGE":
        return bool(given[0] <= ord(character) <= given[1])
    category = str(given).removeprefix("CATEGORY_")
    found = _CATEGORIES[category.removeprefix("NOT_")].match(character) is not None
    return found != category.startswith("NOT_")


def _unbounded(tree: Any) -> int:
    count = 0
    for operation, given in tree:
        name = str(operation)
        count += name in _REPEATS and given[1] is _parser.MAXREPEAT
        count += sum(map(_unbounded, _parts(name, given)))
    return count
