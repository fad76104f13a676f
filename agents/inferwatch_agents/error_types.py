"""OpenTelemetry's error.type of what was raised."""

from __future__ import annotations


def class_name(kind: type[BaseException]) -> str:
    """A class's name, as Python names it in tracebacks."""
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
