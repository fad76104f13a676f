"""A YAML file held against a JSON Schema; what is wrong is told with its file, line and field."""

from __future__ import annotations

import contextlib
import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import yaml
from jsonschema.exceptions import best_match

from inferwatch_streams.configuration.fulfilment import UnknownKeywordError, fulfilment
from inferwatch_streams.configuration.yaml_text import data_of, nodes_of
from inferwatch_streams.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    Key = str | int

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_FIELDS: Final = 500_000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file.

    Attributes:
        line: Where, counted from 1.
        field: What, as in ``rules[3].window``; empty for the file itself.
        message: Why.
    """

    line: int
    field: str
    message: str


class ConfigurationFile:
    """A file that was read, and where in it each field stands.

    Attributes:
        name: The file, as it was named.
        data: What it says.
    """

    def __init__(self, name: str, text: str, schema: Mapping[str, Any]) -> None:
        """Read it.

        Args:
            name: What to call it in messages.
            text: Its text.
            schema: JSON Schema (draft 2020-12) that it must fulfil.

        Raises:
            ConfigurationError: It is no YAML, or does not fulfil the schema; tells of every field.
        """
        self.name = name
        self.data: Any
        self._lines: dict[tuple[Key, ...], int] = {}
        self._wrong: list[Problem] = []
        with _no_collection():
            self._read(text)
            self.hold_against(schema)

    def _read(self, text: str) -> None:
        name = self.name
        try:
            node = nodes_of(text)
            self.data = None
            if node is not None:
                # First: what is merged ("<<") becomes a part of the nodes when data is made of
                # them, beside the keys that replace it, and may be billions of fields.
                self._mark(node, (), node.start_mark.line + 1)
                self.data = data_of(node)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise ConfigurationError(
                f"{name}:{1 if mark is None else mark.line + 1}: {error.problem or error}"
            ) from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"{name}: is no YAML: {error}") from error
        self.refuse(self._wrong)

    def hold_against(self, schema: Mapping[str, Any]) -> None:
        """Refuse the file where it does not fulfil a further schema.

        Raises:
            ConfigurationError: It does not; tells of every field.
        """
        if _fulfils(schema, self.data):
            return
        validator = jsonschema.Draft202012Validator(schema)
        self.refuse(
            Problem(self.line(path), shown(path), message)
            for path, message in _failures(validator.iter_errors(self.data))
        )

    @classmethod
    def read(cls, path: Path, schema: Mapping[str, Any]) -> ConfigurationFile:
        """Read a file.

        Raises:
            ConfigurationError: As the constructor; or it cannot be read.
        """
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            text = data.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: cannot be read: {error}") from error
        if len(data) > MAX_BYTES:
            raise ConfigurationError(f"{path}: is larger than {MAX_BYTES} bytes.")
        return cls(str(path), text, schema)

    def line(self, path: tuple[Key, ...]) -> int:
        """Line of a field, or of the nearest that holds it, counted from 1."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def problem(self, path: tuple[Key, ...], message: str) -> Problem:
        """Something that is wrong with a field beyond what the schema can say."""
        return Problem(self.line(path), shown(path), message)

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Refuse the file where there are any.

        Raises:
            ConfigurationError: There are; a line each, as ``rules.yaml:12: rules[3].window: why``.
        """
        found = sorted(set(problems), key=lambda problem: (problem.line, problem.field))
        if found:
            raise ConfigurationError(
                "\n".join(
                    ": ".join(
                        part
                        for part in (f"{self.name}:{each.line}", each.field, each.message)
                        if part
                    )
                    for each in found
                )
            )

    def _mark(self, node: yaml.Node, path: tuple[Key, ...], line: int) -> None:
        if len(self._lines) >= MAX_FIELDS:
            # A few lines of aliases of aliases can be billions of fields.
            raise ConfigurationError(f"{self.name}: has more than {MAX_FIELDS} fields.")
        self._lines[path] = line
        if isinstance(node, yaml.ScalarNode) and not _writable(node.value):
            self._wrong.append(Problem(line, shown(path), "holds half of a character, as \\ud800"))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*path, str(key.value))
                at = key.start_mark.line + 1
                if not _writable(str(key.value)):
                    raise ConfigurationError(f"{self.name}:{at}: holds half of a character")
                if inner in self._lines and str(key.value) != "<<":
                    self._wrong.append(Problem(at, shown(inner), "is given twice"))
                self._mark(value, inner, at)
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                self._mark(value, (*path, number), value.start_mark.line + 1)


def shown(path: Iterable[Key]) -> str:
    """A field's place as people write it: ``rules[3].window``."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def _writable(text: str) -> bool:
    """Whether it can be sent or shown: not so where an escape stands for half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fulfils(schema: Mapping[str, Any], data: Any) -> bool:
    """Whether it does for sure."""
    try:
        return fulfilment(schema)(data)
    except UnknownKeywordError:
        return False


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Have Python not look for cycles: among so many new objects it finds none, for seconds."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _failures(
    errors: Iterable[jsonschema.ValidationError],
) -> Iterable[tuple[tuple[Key, ...], str]]:
    for error in errors:
        # Of several ways a field may be written, the one that was most likely meant.
        meant = best_match(error.context) if error.context else None
        told = error if meant is None else meant
        yield tuple(told.absolute_path), told.message
