"""Texts of alerts: templates such as ``{service}: {value} of calls fail``, filled from a finding.

A field is a label, or one of ``FIELDS``, or a detail that the rule's kind gives. A number is
written in its unit, unless the template has a format of its own, as Python's: ``{value:.3f}``.
"""

from __future__ import annotations

import math
import re
from string import Formatter
from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.rules.measures import MEASURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from inferwatch_streams.rules.finding import Finding

FIELDS: Final = ("rule", "severity", "value", "threshold", "samples")
"""What a template may name of any rule, besides labels."""
ABSENT: Final = "-"
MOST_CHARACTERS: Final = 4096
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_LEVEL: Final = 1024.0
#: A field within a format, or a width that is more than a text may be long.
_UNFIT: Final = re.compile(r"\{|[0-9]{4}")


def duration_in_words(seconds: float) -> str:
    """A time for people, to two parts: 1.24 s, 5 m 20 s, 3 d 4 h."""
    if abs(seconds) < 60:  # noqa: PLR2004  # a minute
        return f"{seconds:.3g} s"
    left = round(abs(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= size and len(parts) < 2:  # noqa: PLR2004  # as the docstring says
            parts.append(f"{left // size} {unit}")
        left %= size
    return ("-" if seconds < 0 else "") + " ".join(parts)


def _bytes(value: float) -> str:
    power = min(int(math.log(max(abs(value), 1.0), _LEVEL)), len(_BINARY) - 1)
    return f"{value / _LEVEL**power:.3g} {_BINARY[power]}"


UNITS: Final[Mapping[str, Callable[[float], str]]] = {
    "number": lambda value: f"{value:.4g}",
    "ratio": lambda value: f"{value * 100:.3g} %",
    "seconds": duration_in_words,
    "per_second": lambda value: f"{value:.4g}/s",
    "per_minute": lambda value: f"{value:.4g}/min",
    "usd": lambda value: f"{value:.4g} USD",
    "usd_per_hour": lambda value: f"{value:.4g} USD/h",
    "celsius": lambda value: f"{value:.4g} °C",
    "bytes": _bytes,
    "bytes_per_second": lambda value: f"{_bytes(value)}/s",
    "times": lambda value: f"{value:.3g}x",
}
"""How numbers are written for people."""

#: Units of what kinds see, where it is not a measure.
_UNITS_OF_KINDS: Final = {"burn_rate": "times", "absence": "seconds", "completeness": "ratio"}
DETAILS: Final[Mapping[str, Mapping[str, str]]] = {
    "threshold": {"window": "seconds"},
    "burn_rate": {"long": "seconds", "short": "seconds", "long_burn": "times",
                  "short_burn": "times"},
    "change": {"window": "seconds", "before": "measure", "factor": "times", "p_value": "number",
               "samples_before": "number", "other": "text"},
    "absence": {"silent_for": "seconds"},
    "forecast": {"left": "seconds"},
    "anomaly": {"expected": "measure", "lower": "measure", "upper": "measure", "score": "number"},
    "completeness": {"missing": "number", "made": "number"},
    "function": {},
}  # fmt: skip
"""Details of findings by kind, with their units; functions may give any."""


def named_fields(template: str) -> Iterator[tuple[str, str]]:
    """Fields that a template names, with their formats.

    Raises:
        ValueError: It is no template.
    """
    for _, name, form, conversion in Formatter().parse(template):
        if name is None:
            continue
        if conversion or not name.isidentifier() or _UNFIT.search(form or ""):
            raise ValueError(f"{{{name}}} is no field; write as in {{service}} or {{value:.2f}}.")
        yield name, form or ""


def rendered(template: str, finding: Finding, rule: Any) -> str:
    """A template filled; what is unknown, or cannot be written so, stands as it is.

    Args:
        template: What to fill.
        finding: What was found.
        rule: Which rule found it.
    """
    known: dict[str, Any] = {
        **finding.details,
        **finding.labels,
        "rule": rule.name,
        "severity": rule.severity,
        "value": finding.value,
        "threshold": finding.threshold,
        "samples": finding.samples,
    }
    units = units_of(rule)
    text = ""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        return template[:MOST_CHARACTERS]
    for literal, name, form, _ in parts:
        text += literal
        if name is not None:
            text += _written(known.get(name), form or "", units.get(name, "text"))
    return text[:MOST_CHARACTERS]


def units_of(rule: Any) -> dict[str, str]:
    """Units of the fields of a rule's texts that are numbers."""
    measure = MEASURES.get(getattr(rule, "measure", ""))
    own = measure.unit if measure is not None else _UNITS_OF_KINDS.get(rule.kind, "number")
    details = {
        name: own if unit == "measure" else unit for name, unit in DETAILS[rule.kind].items()
    }
    return {**details, "value": own, "threshold": own}


def _written(value: Any, form: str, unit: str) -> str:
    if value is None:
        return ABSENT
    try:
        if form:
            return format(value, form)
        if unit in UNITS and isinstance(value, int | float):
            return UNITS[unit](value)
    except (ValueError, TypeError, OverflowError):
        # Of another type than the rule's author thought: a detail of a function, or infinite.
        return str(value)
    return str(value)
