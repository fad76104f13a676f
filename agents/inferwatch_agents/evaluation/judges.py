"""Judges: what an answer is worth, from 0 to 1.

``exact`` and ``contains`` compare texts as they are or, with ``normalise``, in Unicode's composed
form (NFC), case folded, each run of white space as one space, and without spaces and a full stop at
the end. ``numeric`` takes the last number of the answer: digits, with commas between groups of
three or without, a decimal point, an exponent of up to three digits, and a sign that follows no
letter or digit. An answer without a number is wrong.

A judge of one's own is any function of the question and the answer, also a coroutine function, that
returns a boolean or a score from 0 to 1: another model may be asked there.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from inferwatch_agents.errors import ConfigurationError

if TYPE_CHECKING:
    from inferwatch_agents.evaluation.question_set import Question

Judging: TypeAlias = "Callable[[Question, str], Any]"

MICROS: Final = 1_000_000
# Longer ones are no numbers that a model means, and would cost time to read.
_MOST_DIGITS: Final = 1000
_NUMBER: Final = re.compile(
    r"(?:(?<![\w.])[-+\u2212])?(?<![\w.])"
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
    r"(?:[eE][-+]?[0-9]{1,3})?(?!\.?[0-9]|[eE][-+]?[0-9])"
)


@dataclass(frozen=True, slots=True)
class Judge:
    """One way to judge.

    Attributes:
        name: In the events.
        score: Of a question and an answer; a boolean, a number from 0 to 1, or awaited to be one.
        wants: What ``expected`` has to be; empty where anything will do.
        suits: Whether ``expected`` is that.
        at_once: Whether it neither waits nor fails.
    """

    name: str
    score: Judging
    wants: str = ""
    suits: Callable[[Any], bool] = lambda _: True
    at_once: bool = False


def exact_match(*, normalise: bool = False) -> Judge:
    """Passes an answer that is the expected text, or one of the expected texts."""
    _check_switch("exact", normalise)

    def score(question: Question, answer: str) -> bool:
        form = _normal if normalise else str
        return form(answer) in {form(text) for text in _texts(question.expected)}

    return Judge("exact", score, "a text or a list of texts", _is_texts, at_once=True)


def contains(*, normalise: bool = False) -> Judge:
    """Passes an answer in which the expected text, or one of the expected texts, stands."""
    _check_switch("contains", normalise)

    def score(question: Question, answer: str) -> bool:
        form = _normal if normalise else str
        return any(form(text) in form(answer) for text in _texts(question.expected))

    return Judge("contains", score, "a text or a list of texts", _is_texts, at_once=True)


def numeric(*, absolute: float = 0, relative: float = 0) -> Judge:
    """Passes an answer whose last number is near the expected one; exact, without rounding.

    Args:
        absolute: How far it may be away, or
        relative: how far as a share of the expected number; the larger of the two counts.

    Raises:
        ConfigurationError: One is no number of at least 0.
    """
    for name, value in (("absolute", absolute), ("relative", relative)):
        if not (_is_number(value) and value >= 0):
            raise ConfigurationError(
                f"The judge numeric: {name} is {value!r}; it must be a number from 0 on."
            )
    near, share = Fraction(str(absolute)), Fraction(str(relative))

    def score(question: Question, answer: str) -> bool:
        found, expected = number_in(answer), _expected_number(question.expected)
        if found is None or expected is None:
            return False
        return abs(found - expected) <= max(near, share * abs(expected))

    return Judge(
        "numeric",
        score,
        "a number",
        lambda expected: _expected_number(expected) is not None,
        at_once=True,
    )


def custom(name: str, function: Judging) -> Judge:
    """A judge of one's own.

    Args:
        name: In the events.
        function: Of the question and the answer; returns a boolean, or a score from 0 to 1.
    """
    return Judge(name, function)


def judge_of(asked: Any, own: Mapping[str, Judging]) -> Judge:
    """The judge that is asked for.

    Args:
        asked: A judge, its name, or an object of its ``name`` and options; or a function.
        own: Functions by the names they may be asked for.

    Raises:
        ConfigurationError: There is none of that name, or it has no such option.
    """
    if isinstance(asked, Judge):
        return asked
    if callable(asked):
        return custom(getattr(asked, "__qualname__", type(asked).__qualname__), asked)
    options = dict(asked) if isinstance(asked, Mapping) else {"name": asked}
    name = options.pop("name", None)
    if isinstance(name, str) and name in own and not options:
        return custom(name, own[name])
    if not isinstance(name, str) or name not in _BUILT_IN:
        known = ", ".join((*_BUILT_IN, *own))
        raise ConfigurationError(f"There is no judge {name!r}; there are {known}.")
    try:
        return _BUILT_IN[name](**options)
    except TypeError as error:
        raise ConfigurationError(f"The judge {name} has no such options: {error}.") from error


def worth(said: Any, pass_at: float) -> tuple[float, bool]:
    """Score and verdict of what a judge returned.

    Args:
        said: A boolean, or a number from 0 to 1.
        pass_at: The least score that passes.

    Returns:
        The score in whole millionths, as it is counted, and whether it passed.

    Raises:
        ValueError: The judge returned something else.
    """
    if isinstance(said, bool):
        return float(said), said
    if not isinstance(said, Real) or not 0 <= (score := float(said)) <= 1:
        raise ValueError(f"the judge returned {said!r}, neither a boolean nor from 0 to 1")
    return round(score * MICROS) / MICROS, score >= pass_at


def number_in(answer: str) -> Fraction | None:
    """The last number of a text; None where there is none."""
    numbers = deque(_NUMBER.finditer(answer), maxlen=1)
    return _fraction(numbers[0][0]) if numbers else None


def _fraction(text: str) -> Fraction | None:
    return (
        None if len(text) > _MOST_DIGITS else Fraction(text.replace(",", "").replace("\u2212", "-"))
    )


def _expected_number(expected: Any) -> Fraction | None:
    if isinstance(expected, str):
        found = _NUMBER.fullmatch(expected.strip())
        return None if found is None else _fraction(found[0])
    # By its decimal digits: 0.1 is a tenth, not the nearest binary number.
    return Fraction(str(expected)) if _is_number(expected) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _texts(expected: Any) -> tuple[str, ...]:
    return (expected,) if isinstance(expected, str) else tuple(expected)


def _is_texts(expected: Any) -> bool:
    if isinstance(expected, list | tuple):
        return bool(expected) and all(isinstance(text, str) for text in expected)
    return isinstance(expected, str)


def _normal(text: str) -> str:
    # Folding may decompose, so that the composed form is taken last.
    folded = unicodedata.normalize("NFC", text).casefold()
    return unicodedata.normalize("NFC", " ".join(folded.split()).removesuffix(".").rstrip())


def _check_switch(name: str, normalise: Any) -> None:
    if not isinstance(normalise, bool):
        raise ConfigurationError(
            f"The judge {name}: normalise is {normalise!r}; it must be true or false."
        )


_BUILT_IN: Final[dict[str, Callable[..., Judge]]] = {
    "exact": exact_match,
    "contains": contains,
    "numeric": numeric,
}
