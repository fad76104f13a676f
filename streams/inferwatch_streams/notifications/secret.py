"""Secrets: named in the file, kept in the environment or in a file of their own, shown nowhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from inferwatch_streams.errors import StreamsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HIDDEN: Final = "***"
MAX_BYTES: Final = 64 * 1024
# A shorter part of an address says nothing, and stands in many a text.
SHORTEST: Final = 5
_WORDS: Final = re.compile(r"[/?&=;,]")
#: JSON Schema of a reference to a secret.
SCHEMA: Final[dict[str, Any]] = {
    "description": "Where the secret is: {env: NAME} or {file: PATH}. Never the secret itself.",
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        "env": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "file": {"type": "string", "minLength": 1},
    },
}


class SecretError(StreamsError):
    """A secret is not where the file of configuration says; the message never holds one."""


class Secret:
    """A text that is shown only to whom it is for."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def traces(self) -> frozenset[str]:
        """What must not be shown: the text, and of an address the parts that only it has."""
        parts = {self._text}
        _, is_address, rest = self._text.partition("://")
        if is_address:
            user, at, place = rest.rpartition("@")
            path = "/" + place.partition("/")[2]
            parts |= {path, path.partition("?")[0], *_WORDS.split(path)}
            parts |= {user, *user.split(":")} if at else set()
            parts |= {unquote(part) for part in parts}
        return frozenset(part for part in parts if len(part) >= SHORTEST or part == self._text)

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __reduce__(self) -> str:
        raise TypeError("A secret is not copied out of its process.")


def find_secret(reference: Mapping[str, str], environment: Mapping[str, str]) -> Secret:
    """The secret that a reference names; line ends around it do not belong to it.

    Raises:
        SecretError: It is not there, is empty, or cannot be read.
    """
    if name := reference.get("env"):
        text = environment.get(name, "").strip()
        if not text:
            raise SecretError(f"the variable {name} is not set, or empty; set it to the secret.")
        return Secret(_printable(text, f"the variable {name}"))
    path = Path(reference["file"])
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SecretError(f"{path} cannot be read: {why}.") from error
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError:
        # The cause would hold the bytes.
        raise SecretError(f"{path} is no UTF-8 text.") from None
    if not text or len(data) > MAX_BYTES:
        raise SecretError(f"{path} is empty or larger than {MAX_BYTES} bytes; keep a secret in it.")
    return Secret(_printable(text, str(path)))


def _printable(text: str, where: str) -> str:
    if not text.isprintable():
        raise SecretError(f"{where} holds line ends or other controls; keep one secret in it.")
    return text


def scrubbed(text: str, secrets: Iterable[Secret]) -> str:
    """A text from elsewhere, such as an answer or an error, without the secrets that it repeats."""
    traces = {trace for secret in secrets for trace in secret.traces}
    for trace in sorted(traces, key=len, reverse=True):
        text = text.replace(trace, HIDDEN)
    return text
