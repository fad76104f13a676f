"""Values of log records: whatever they are, what leaves is plain, bounded and readable."""

import collections
import datetime as dt
import decimal
import enum
import json
import pathlib
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_recorder import encoded

from inferwatch_agents.logs.content import Content, characters
from inferwatch_agents.logs.plain import TEXT, TOTAL, Plain, cut, cut_start
from inferwatch_agents.logs.record import log_record

# All characters, halves of surrogate pairs too.
TEXTS = st.text(st.characters(codec=None, exclude_categories=()))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(SCALARS.filter(lambda key: key == key), inner)  # noqa: PLR0124  # NaN is no key to compare
    ),
    max_leaves=20,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


def plain(value: Any, *, content: bool = False) -> Any:
    """A value made plain on its own."""
    return Plain(content=content).value(value)


class Weird:
    """Raises whatever it is asked."""

    def __repr__(self) -> str:
        raise RuntimeError("secret")

    __str__ = __repr__
    __len__ = __repr__  # type: ignore[assignment]  # nothing about it is right
    __iter__ = __repr__  # type: ignore[assignment]  # likewise


class WeirdDict(collections.UserDict[str, Any]):
    """Raises when it is read."""

    def __iter__(self) -> Any:
        raise KeyError("secret")


class Colour(enum.StrEnum):
    """A text that is more than a text."""

    RED = "red"


@settings(deadline=None)
@given(VALUES)
def test_any_value_becomes_strict_json_in_utf8(value: Any) -> None:
    """No NaN, no lone surrogates, only texts as keys; and it is made plain only once."""
    found = plain(value)
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(json.dumps(found)) == found
    # Cuts and escapes aside, which these are too short for.
    assert plain(found) == found


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(TEXTS, VALUES), st.integers(1, 24) | st.none())
def test_any_record_fits_its_schema(fields: dict[str, Any], severity: int | None) -> None:
    """The strict reader reads what was written, each attribute with its text."""
    found = plain({**fields, "event": "said"})
    record = encoded(log_record(found, severity) | {
        "service_name": "s", "deployment_environment_name": "e",
    })  # fmt: skip
    assert (record["body"], record["severity_number"]) == ("said", severity)
    known = {"event", "level", "logger", "timestamp", "event_name", "error.type"}
    assert {key for key in found if "." not in key} - known <= set(record["attributes"])


@settings(max_examples=30, deadline=None)
@given(JSON)
def test_what_json_can_carry_stays_as_it_is(value: Any) -> None:
    """Only what JSON, its readers or the limits cannot take is changed."""
    assert plain(value) == value


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**63 - 1, 2**63 - 1),
        pytest.param(10**5000, "[integer of 16610 bits]", id="huge"),
        (b"caf\xc3\xa9 \xff", "café \\xff"),
        (bytearray(TEXT + 1), f"[{TEXT + 1} bytes]"),
        (memoryview(b"ab"), "ab"),
        ("half \ud83d", "half \\ud83d"),
        (Colour.RED, "red"),
        ({1: "a", None: "b", (1, 2): "c"}, {"1": "a", "None": "b", "(1, 2)": "c"}),
        ({"set": {1}}, {"set": [1]}),
        (collections.deque([1, 2]), [1, 2]),
        (dt.datetime(2025, 7, 1, tzinfo=dt.UTC), "2025-07-01 00:00:00+00:00"),
        (decimal.Decimal("0.10"), "0.10"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (ValueError("no"), "ValueError: no"),
        (object, "<class 'object'>"),
        ([Weird()], ["[Weird: reading it raised RuntimeError]"]),
        ({Weird(): 1}, {"[key: reading it raised RuntimeError]": 1}),
        (WeirdDict(a=1), "[WeirdDict: reading it raised KeyError]"),
    ],
)  # fmt: skip
def test_odd_values_say_what_they_are(value: Any, found: Any) -> None:
    """In few words, and without the message of what they raised."""
    assert plain(value) == found


def test_cycles_and_crowds_end() -> None:
    """A list that holds itself a thousand times costs no more than any other large record."""
    cycle: list[Any] = []
    cycle.extend([cycle] * 1000)
    assert len(json.dumps(plain(cycle))) < 4 * TOTAL
    assert "too deep" in json.dumps(plain(cycle[:1]))
    crowd = plain(list(range(1_000_000)))
    assert len(crowd) < 2000
    assert crowd[-1] == f"[truncated: {1_000_000 - len(crowd) + 1} more]"
    assert "[truncated]" in plain({str(n): n for n in range(100_000)})


@settings(max_examples=20, deadline=None)
@given(st.sampled_from("a\0é😀\ud800"), st.integers(1, 5))
def test_the_largest_records_fit_their_topic(character: str, count: int) -> None:
    """In whatever number of bytes a character is written, in lists and alone."""
    texts = [character * 20_000 + " "] * count
    found = Plain(content=False).value({"event": "e", "list": texts, **dict(enumerate(texts))})
    encoded(log_record(found, None) | {"service_name": "s", "deployment_environment_name": "e"})


@settings(deadline=None)
@given(st.text("ab \n", max_size=300), st.integers(0, 100))
def test_a_cut_leaves_no_part_of_a_word(text: str, limit: int) -> None:
    """So a secret that is cut is cut away whole; and how long the text was is said."""
    found = cut(text, limit)
    if len(text) <= limit:
        assert found == text
        return
    kept, _, told = found.partition(" [truncated: ")
    assert told == f"{len(text)} characters]"
    assert len(kept) <= limit
    assert text.startswith(kept)
    assert kept == "" or text[len(kept)] in " \n"


@settings(deadline=None)
@given(st.text("ab\n", max_size=300), st.integers(0, 100))
def test_a_stack_trace_keeps_its_end(text: str, limit: int) -> None:
    """From the beginning of a line on."""
    found = cut_start(text, limit)
    if len(text) <= limit:
        assert found == text
        return
    told, _, kept = found.partition("]")
    assert told == f"[truncated: {len(text)} characters"
    assert len(kept) <= limit
    assert text.endswith(kept)
    assert kept == "" or kept[0] == "\n"


def test_content_is_withheld_by_name_at_any_depth() -> None:
    """And shown where it is switched on; a version of a prompt is no prompt."""
    value = {
        "prompt": "hello", "request": {"gen_ai.input.messages": [{"content": "hi", "role": "u"}]},
        "args": [Content("four")], "completion": {"parts": [{"text": "abc"}]},
    }  # fmt: skip
    assert plain(value) == {
        "prompt": "[withheld: 5 characters]",
        "request": {"gen_ai.input.messages": "[withheld: 2 characters]"},
        "args": ["[withheld: 4 characters]"],
        "completion": "[withheld: 3 characters]",
    }
    assert plain(value, content=True)["request"] == value["request"]
    assert plain(value, content=True)["args"] == ["four"]
    assert plain({"prompt": 3, "completion": None}) == {"prompt": 3, "completion": None}
    assert plain({"prompt": Weird()}) == {"prompt": "[withheld: 0 characters]"}


def test_content_is_no_text_to_other_renderers() -> None:
    """A chain without our processor shows its length too."""
    assert f"{Content('abcd')} {Content([{'content': [{'text': 'ab'}]}])!r}" == (
        "[withheld: 4 characters] [withheld: 2 characters]"
    )
    cycle: dict[str, Any] = {}
    cycle["content"] = cycle
    assert characters(cycle) == 0
