"""The default redaction hook: what it takes out, what it leaves, and in what time."""

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_agents.logs import each_text, redact_secrets
from inferwatch_agents.logs.plain import TEXT, WORD, cut
from inferwatch_agents.logs.redaction import REDACTED, redact_text

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9"
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB+/aa==\n"
    "-----END RSA PRIVATE KEY-----"
)
BASIC = base64.b64encode(b"user:pass").decode()
HEX = "0123456789abcdef" * 4
# Written in parts, so that scanners of repositories do not take them for real ones.
SECRETS = [
    "sk-" + HEX[:48],
    "sk-" + "proj-" + "Ab_-" * 20,
    "sk-" + "ant-api03-" + "Ab-1_" * 18,
    "sk-" + "or-v1-" + HEX,
    "gh" + "p_" + HEX[:36],
    "github" + "_pat_" + "11ABCDEFG0" + "_" + HEX,
    "hf" + "_" + "AbCdEfGhIj" * 3 + "abcd",
    "AI" + "za" + "SyA-_" * 7,
    "AK" + "IA" + "IOSFODNN7EXAMPLE",
    "xo" + "xb-" + "123456789012-" + "AbCdEf",
    "xo" + "xb-" + "1234567890",
    JWT,
    "Bearer " + HEX[:32],
    "bearer   " + "ab.cd~ef+gh/ij-kl_mn==",
    "BEARER " + HEX[:16],
    "Basic " + BASIC,
    PEM,
]
HARMLESS = [
    "sk-learn-pipeline-for-text-classification",
    "risk-based-approach and disk-0123456789abcdef0123",
    "the task-force of asking",
    "Bearer realm, bearer of the news",
    "basic characteristics and Basic responsibilities",
    "eyJust a text. eyJunk",
    "https://example.org:8443/path?mail=a@b.org",
    "user@example.org at 127.0.0.1:9092",
    "PAKIAIOSFODNN7EXAMPLES",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "4bf92f3577b34da6a3ce929d0e0e4736",
]
SPACE = st.sampled_from(("", " ", "\n", '"', "=", ", ", "key:", "(", "'"))


@pytest.mark.parametrize("secret", SECRETS)
@settings(deadline=None)
@given(before=SPACE, after=st.sampled_from(("", " ", "\n", '"', ", ", ")", "'")))
def test_a_secret_leaves_nothing(secret: str, before: str, after: str) -> None:
    """Wherever it stands in a text, in a list, or in a key."""
    assert redact_text(before + secret + after) == before + REDACTED + after
    found = redact_secrets({"a": [{"b": before + secret}], secret: 1, "n": 1})
    assert json.dumps(found).count(REDACTED) == 2
    assert secret not in json.dumps(found)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    """Words and ids that look a little like one."""
    assert redact_text(text) == text


def test_a_password_in_an_address_goes_and_the_rest_stays() -> None:
    """Which host was meant is what the reader wants to know."""
    assert redact_text("at redis://:pw@h:1/0 and amqp://u:p@h/v, mongodb://u@h") == (
        f"at redis://:{REDACTED}@h:1/0 and amqp://u:{REDACTED}@h/v, mongodb://u@h"
    )


@pytest.mark.parametrize(
    "name", ["password", "API-Key", "http.request.header.authorization", "x-api-key", "Set-Cookie"]
)
def test_fields_that_hold_secrets_are_taken_out_by_name(name: str) -> None:
    """Whatever they hold, at any depth; nothing stays nothing."""
    value = {"headers": [{name: ["a"]}], name: 7}
    assert redact_secrets(value) == {"headers": [{name: REDACTED}], name: REDACTED}
    assert redact_secrets({name: None}) == {name: None}


def test_half_a_private_key_is_a_secret_too() -> None:
    """A stack trace is cut at its beginning, other texts at their end."""
    half = len(PEM) // 2
    assert redact_text("before " + PEM[:half]) == f"before {REDACTED}"
    assert redact_text(f"{PEM[half:]} after {PEM} end") == f"{REDACTED} after {REDACTED} end"


def test_tokens_that_are_counted_stay() -> None:
    """They are no tokens of access."""
    value = {"gen_ai.usage.input_tokens": 5, "tokens": 3, "token": "hello", "secretary": "x"}
    assert redact_secrets(value) == value


@settings(deadline=None)
@given(st.integers(0, 60))
def test_a_secret_at_the_cut_leaves_nothing(offset: int) -> None:
    """The hook sees what is left of a long text, so no part of a secret may be left there."""
    secret = "sk-" + HEX[:48]
    text = "word " * (TEXT // 5)
    text = text[: TEXT - offset - 1] + " " + secret + " more" * 10
    assert "sk-0" not in redact_text(cut(text, TEXT))


@pytest.mark.parametrize(
    "part",
    ["sk-", "sk-proj-", "eyJ", "eyJ-", "eyJaaaaaaaa.", "bearer ", "basic ", "://", "://a:", "xoxb-",
     "ghp_", "github_pat_", "hf_", "AIza", "AKIA", "-----BEGIN PRIVATE KEY-----", "-", "A", " "],
)  # fmt: skip
def test_no_text_takes_long(part: str) -> None:
    """Time grows with the text, and not with its square."""
    texts = [(part * TEXT)[:TEXT], (part * TEXT)[: 4 * TEXT]]
    taken = []
    for text in texts:
        before = time.thread_time()
        redact_text(text)
        taken.append(time.thread_time() - before)
    assert taken[0] < 0.05
    assert taken[1] < 0.1


def test_a_function_of_texts_is_a_hook() -> None:
    """It is given keys too, and what is no text stays."""
    hook = each_text(str.upper)
    assert hook({"a": ["b", {"c": "d"}], "n": 1.5, "z": None}) == {
        "A": ["B", {"C": "D"}], "N": 1.5, "Z": None,
    }  # fmt: skip


def test_words_as_long_as_a_token_are_cut_whole() -> None:
    """The longest tokens that are known are JSON Web Tokens, of some hundred characters."""
    assert len(JWT) < WORD
    found: Any = cut("a " + "b" * TEXT, 100)
    assert found.startswith("a [truncated")
