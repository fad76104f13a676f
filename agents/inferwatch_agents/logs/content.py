"""What users and models said: withheld from logs, all but its length, until it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Fields that carry it: structlog's users' own words, and OpenTelemetry's, older ones included.
NAMES: Final = frozenset(
    (
        "prompt",
        "completion",
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
    )
)
# Keys of a message under which its text stands, in OpenTelemetry's and the providers' forms.
_TEXTS: Final = ("content", "parts", "text")
# As deep as messages of messages of parts are.
_DEPTH: Final = 6


class Content:
    """A text or messages; whoever shows it without knowing it shows its length only.

    Attributes:
        value: The text, or messages with their texts under ``content``, ``parts`` or ``text``.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"[withheld: {characters(self.value)} characters]"


def characters(value: Any, depth: int = _DEPTH) -> int:
    """Characters of a text, or of all texts of messages."""
    if isinstance(value, str):
        return len(value)
    if depth == 0:
        return 0
    if isinstance(value, Mapping):
        return sum(characters(value[key], depth - 1) for key in _TEXTS if key in value)
    if isinstance(value, list | tuple):
        return sum(characters(item, depth - 1) for item in value)
    return 0
