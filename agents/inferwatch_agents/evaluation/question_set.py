"""Sets of questions: JSON Lines, one question a line.

    {"id": "fr-1", "input": "Capital of France?", "expected": "Paris", "tags": ["europe"]}

``id`` and ``input`` (a text or an object) are required, ``expected``, ``tags`` and ``judge`` are
not. Blank lines are passed over.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.errors import QuestionSetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

VERSION_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        id: Unique in its set.
        input: What the model is asked.
        expected: What its answer is judged by; None where the judge needs nothing.
        tags: What it is about; summaries have a part for each.
        judge: In place of the evaluator's own: a name, or an object of a name and options.
        place: Where it stands, for errors.
    """

    id: str
    input: str | Mapping[str, Any]
    expected: Any = None
    tags: tuple[str, ...] = ()
    judge: str | Mapping[str, Any] | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions under a name.

    Attributes:
        name: With a version, so that scores of two versions are not taken for one's.
        questions: In their order.
    """

    name: str
    questions: tuple[Question, ...]


def read_question_set(path: str | Path, name: str | None = None) -> QuestionSet:
    """The questions of a file.

    Args:
        path: JSON Lines, UTF-8.
        name: The file's name without its suffix, ``@`` and the first digits of its SHA-256, when
            None: another content is another version.

    Raises:
        QuestionSetError: The file cannot be read, or a line is no question.
    """
    try:
        content = Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionSetError(f"The questions {path} cannot be read: {error}.") from error
    version = hashlib.sha256(content).hexdigest()[:VERSION_DIGITS]
    return parse_question_set(
        # Only at newlines: a JSON text may hold other separators of lines.
        text.split("\n"),
        str(path),
        name or f"{Path(path).stem}@{version}",
    )


def parse_question_set(lines: Iterable[str], source: str, name: str) -> QuestionSet:
    """The questions of lines.

    Args:
        lines: One JSON object each.
        source: What errors call them.
        name: The set's.

    Raises:
        QuestionSetError: A line is no question, an id is there twice, or there is no question.
    """
    places: dict[str, str] = {}
    questions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{source}, line {number}"
        question = _question(line, place)
        if question.id in places:
            raise QuestionSetError(
                f"{place}: id {question.id!r} is that of {places[question.id]}, too; change one."
            )
        places[question.id] = place
        questions.append(question)
    if not questions:
        raise QuestionSetError(f"{source} has no question.")
    return QuestionSet(name, tuple(questions))


def _question(line: str, place: str) -> Question:
    try:
        found = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise QuestionSetError(f"{place} is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise QuestionSetError(f"{place} is no object like {{'id': ..., 'input': ...}}.")
    for field in found:
        if field not in _FIELDS:
            raise QuestionSetError(
                f"{place}: {field} is no field of a question; they are {', '.join(_FIELDS)}."
            )
    for field, (suits, wanted) in _FIELDS.items():
        if not suits(found.get(field)):
            given = reprlib.repr(found[field]) if field in found else "missing"
            raise QuestionSetError(f"{place}: {field} is {given}; it must be {wanted}.")
    return Question(
        found["id"],
        found["input"],
        found.get("expected"),
        tuple(found.get("tags") or ()),
        found.get("judge"),
        place,
    )


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)


_FIELDS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "id": (lambda value: isinstance(value, str) and value != "", "a text"),
    "input": (lambda value: isinstance(value, str | dict), "a text or an object"),
    # Which judge asks for what, judges.py says.
    "expected": (lambda _: True, "anything"),
    "tags": (lambda value: value is None or _is_texts(value), "a list of texts"),
    "judge": (
        lambda value: value is None or isinstance(value, str | dict),
        "a judge's name, or an object of its name and options",
    ),
}
