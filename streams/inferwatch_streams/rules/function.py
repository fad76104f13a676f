"""Function: what YAML cannot say, as a Python function of the same windows.

A distribution names it in the entry-point group ``inferwatch.rules``. It is called as
``found(windows, at, parameters)`` and returns findings; it must be pure, and quick: all rules wait
for it.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.errors import RuleFailedError
from inferwatch_streams.rules.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from inferwatch_streams.rules.definition import Function
    from inferwatch_streams.rules.tick import Tick
    from inferwatch_streams.windows.reading import Windows

    Found = Callable[[Windows, int, Mapping[str, Any]], Iterable[Finding]]

GROUP: Final = "inferwatch.rules"


def names() -> tuple[str, ...]:
    """Names of the functions that are installed."""
    return tuple(sorted(entry_points(group=GROUP).names))


@cache
def loaded(name: str) -> Found:
    """A function by its name.

    Raises:
        RuleFailedError: None is installed under it, or it cannot be imported.
    """
    found = list(entry_points(group=GROUP, name=name))
    if len(found) != 1:
        what = "no" if not found else "more than one"
        raise RuleFailedError(
            f"There is {what} function {name!r} in the entry-point group {GROUP}; "
            f"installed are: {', '.join(names()) or 'none'}."
        )
    try:
        function: Found = found[0].load()
    except Exception as error:  # whatever importing somebody's code raises
        raise RuleFailedError(
            f"The function {name!r} of {GROUP} cannot be imported: {error!r}."
        ) from error
    return function


def evaluate(rule: Function, tick: Tick) -> list[Finding]:
    """What the function finds, with the rule's labels.

    Raises:
        RuleFailedError: It raises, or returns something else.
    """
    function = loaded(rule.function)
    try:
        found = list(function(tick.windows, tick.at, dict(rule.parameters)))
    except Exception as error:  # whatever somebody's code raises
        raise RuleFailedError(f"The function {rule.function!r} raised {error!r}.") from error
    for each in found:
        if not _is_sound(each):
            raise RuleFailedError(
                f"The function {rule.function!r} returned {each!r}, which is no Finding "
                "with labels of text, finite numbers, and details that JSON can hold."
            )
    return [replace(each, labels={**each.labels, **dict(rule.labels)}) for each in found]


def _is_sound(found: Any) -> bool:
    if not isinstance(found, Finding):
        return False
    texts = [text for pair in found.labels.items() for text in pair]
    try:
        # Half of a surrogate pair is text, and can be written nowhere.
        "".join(texts).encode()
        json.dumps(dict(found.details), ensure_ascii=False).encode()
        numbers = [float(each) for each in (found.value, found.threshold) if each is not None]
        json.dumps(dict(found.details), allow_nan=False)
    except (TypeError, ValueError, OverflowError):
        return False
    return all(isinstance(text, str) for text in texts) and all(map(math.isfinite, numbers))
