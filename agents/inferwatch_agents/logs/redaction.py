"""Takes secrets out of log records: what a redaction hook is, and the one that is there by default.

The default one knows secrets by their form, where the form is their issuer's own and nothing else
has it, and by the names of fields that hold nothing else. It does not know personal data.

Every expression takes time proportional to the text: repetitions are of one class of characters,
and what stands before them is bounded.
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Redact = Callable[[dict[str, Any]], Mapping[str, Any]]

REDACTED: Final = "[redacted]"
# Compared without case, with hyphens as underscores, after the last dot.
SECRET_FIELDS: Final = frozenset(
    (
        "access_token",
        "api_key",
        "apikey",
        "authorization",
        "client_secret",
        "cookie",
        "id_token",
        "passwd",
        "password",
        "private_key",
        "proxy_authorization",
        "refresh_token",
        "secret",
        "secret_access_key",
        "secret_key",
        "set_cookie",
        "x_api_key",
    )
)
_B64: Final = r"[A-Za-z0-9_-]"
_START: Final = r"(?<![A-Za-z0-9])"
# Each with a text that stands in all it finds: looking for that is many times as fast.
_FORMS: Final = (
    # OpenAI (sk-proj-, sk-svcacct-, sk-admin-, and plain), Anthropic, OpenRouter; others like them.
    (
        "sk-",
        rf"{_START}sk-(?:(?:proj|svcacct|admin|ant|or)-{_B64}{{16,}}|[A-Za-z0-9]{{20}}{_B64}*)",
    ),
    # RFC 6750, section 2.1: the scheme and a b64token; shorter ones are words.
    ("earer", rf"{_START}[Bb]earer[ \t]{{1,8}}[A-Za-z0-9._~+/-]{{16,}}={{0,2}}"),
    ("BEARER", rf"{_START}BEARER[ \t]{{1,8}}[A-Za-z0-9._~+/-]{{16,}}={{0,2}}"),
    # RFC 7617: the scheme, and in base64 a name, a colon and a password.
    ("asic", rf"{_START}[Bb]asic[ \t]{{1,8}}(?P<basic>[A-Za-z0-9+/]{{4,}}={{0,2}})"),
    # A JSON Web Token (RFC 7519): its header and payload begin with {" in base64.
    ("eyJ", rf"(?<!{_B64})eyJ{_B64}{{8,}}\.eyJ{_B64}{{8,}}\.{_B64}*"),
    # GitHub's tokens, and its fine-grained ones.
    ("gh", rf"{_START}gh[oprsu]_[A-Za-z0-9]{{36,}}"),
    ("github_pat_", rf"{_START}github_pat_[A-Za-z0-9_]{{22,}}"),
    # Hugging Face, Google's API keys, AWS's key ids, Slack's tokens.
    ("hf_", rf"{_START}hf_[A-Za-z0-9]{{30,}}"),
    ("AIza", rf"{_START}AIza{_B64}{{35}}"),
    ("AKIA", rf"{_START}AKIA[A-Z2-7]{{16}}(?![A-Za-z0-9])"),
    ("ASIA", rf"{_START}ASIA[A-Z2-7]{{16}}(?![A-Za-z0-9])"),
    ("xox", rf"{_START}xox[abeprs]-[A-Za-z0-9-]{{10,}}"),
    # PEM (RFC 7468); of a key whose end was cut away, and of one whose beginning was, all is taken
    # that may be of it.
    (
        "PRIVATE KEY-----",
        r"-----BEGIN ([A-Z ]{0,32}PRIVATE KEY-----)[\s\S]*?(?:-----END \1|\Z)",
    ),
    ("PRIVATE KEY-----", r"\A[\s\S]*-----END [A-Z ]{0,32}PRIVATE KEY-----"),
    # The password in a URL (RFC 3986, section 3.2.1); user and host stay.
    ("://", r"(?<=://)(?P<user>[^\s:@/]{0,256}):[^\s@/]{1,1024}(?=@)"),
)
_COMPILED: Final = tuple((mark, re.compile(form)) for mark, form in _FORMS)
# Nothing shorter is a secret by its form, but for passwords in URLs and basic credentials.
_SHORTEST: Final = 15


def redact_text(text: str) -> str:
    """A text without secrets that are known by their form."""
    if len(text) < _SHORTEST and "://" not in text and "asic" not in text:
        return text
    for mark, form in _COMPILED:
        if mark in text:
            text = form.sub(_replacement, text)
    return text


def redact_secrets(event: dict[str, Any]) -> dict[str, Any]:
    """The default redaction hook: known secrets become ``[redacted]``.

    Args:
        event: A record's fields, all plain.
    """
    return {redact_text(key): _field(key, value) for key, value in event.items()}


def each_text(redact: Callable[[str], str]) -> Redact:
    """A redaction hook of a function that is given each text of a record, keys included."""

    def apply(value: Any) -> Any:
        if isinstance(value, str):
            return redact(value)
        if isinstance(value, dict):
            return {redact(key): apply(item) for key, item in value.items()}
        return [apply(item) for item in value] if isinstance(value, list) else value

    return apply


def _replacement(found: re.Match[str]) -> str:
    groups = found.groupdict()
    if "user" in groups:
        return f"{groups['user']}:{REDACTED}"
    if "basic" in groups and not _is_credentials(groups["basic"]):
        return found[0]
    return REDACTED


def _is_credentials(text: str) -> bool:
    try:
        return b":" in base64.b64decode(text + "==")
    except ValueError:
        return False


@functools.lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return key.rpartition(".")[2].lower().replace("-", "_") in SECRET_FIELDS


def _field(key: str, value: Any) -> Any:
    return REDACTED if value is not None and _is_secret(key) else _value(value)


def _value(value: Any) -> Any:
    if type(value) is str:
        return redact_text(value)
    if type(value) is dict:
        return redact_secrets(value)
    return [_value(item) for item in value] if type(value) is list else value
