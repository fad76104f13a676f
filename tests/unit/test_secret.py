"""Secrets: shown to nobody but whom they are for, whatever repeats them or a part of them."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.notifications.secret import Secret, scrubbed

# All but the stars that stand for it.
OTHERS = st.characters(exclude_characters="*", exclude_categories=["Cs"])
HOOK = "https://me:pass-word@hooks.example/services/T000/B000/x%2Fyzzy1?token=abcdef&n=1"


@pytest.mark.parametrize(
    "text",
    [
        f"no route to {HOOK}",
        "Cannot POST /services/T000/B000/x%2Fyzzy1?token=abcdef&n=1",
        "no /services/T000/B000/x/yzzy1 here",
        "404: x%2Fyzzy1",
        "wrong token abcdef",
        "user me:pass-word",
    ],
)
def test_parts_of_an_address_are_hidden_too(text: str) -> None:
    """As answers and errors repeat paths, words of them, and what they decoded."""
    shown = scrubbed(text, [Secret(HOOK)])
    assert "***" in shown
    assert not any(part in shown for part in ("yzzy1", "abcdef", "pass-word"))


@given(before=st.text(), secret=st.text(OTHERS, min_size=1), after=st.text())
def test_a_secret_is_hidden_wherever_it_stands(before: str, secret: str, after: str) -> None:
    """Also a very short one."""
    hidden = scrubbed(before + secret + after, [Secret(secret)])
    assert secret not in hidden


def test_a_secret_does_not_show_itself() -> None:
    """Nor can it be copied out of the process."""
    secret = Secret("hush")
    assert f"{secret} {secret!r} {[secret]}".count("hush") == 0
    with pytest.raises(TypeError, match="not copied"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="not copied"):
        copy.deepcopy(secret)
