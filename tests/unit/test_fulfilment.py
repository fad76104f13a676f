"""The fast answer to whether data fulfils a schema is ``jsonschema``'s."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.configuration.fulfilment import UnknownKeywordError, fulfilment
from inferwatch_streams.incidents import policy_file
from inferwatch_streams.notifications import configuration
from inferwatch_streams.rules.reading import schema

SCALARS = (
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.sampled_from(["a", "bb", ""])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "bb", "c"]), inner, max_size=3)
    ),
    max_leaves=6,
)
SIZES = st.integers(0, 2)


def of_keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas that use each keyword that is known, with some of ``inner``."""
    named = st.dictionaries(st.sampled_from(["a", "bb"]), inner, max_size=2)
    several = st.lists(inner, min_size=1, max_size=2)
    texts = st.sampled_from(["a", "bb", ""])
    kinds = st.sampled_from(["object", "array", "string", "boolean", "null", "number", "integer"])
    known: dict[str, st.SearchStrategy[Any]] = {
        "type": kinds | st.lists(kinds, min_size=1, max_size=2, unique=True),
        "enum": st.lists(texts, min_size=1, max_size=2, unique=True),
        "const": texts,
        "pattern": st.sampled_from(["^a", "b$", "^$"]),
        "uniqueItems": st.booleans(),
        "required": st.lists(st.sampled_from(["a", "bb"]), max_size=2),
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), SIZES),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), SIZES),
        **dict.fromkeys(("minProperties", "maxProperties"), SIZES),
        "properties": named,
        **dict.fromkeys(("allOf", "anyOf", "oneOf"), several),
        **dict.fromkeys(("items", "additionalProperties", "propertyNames"), inner),
        **dict.fromkeys(("if", "then", "else", "not"), inner),
        "format": st.just("date-time"),
        "$ref": st.just("#/$defs/a"),
    }
    names = st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True)
    return names.flatmap(lambda some: st.fixed_dictionaries({name: known[name] for name in some}))


@given(st.data())
def test_it_says_what_jsonschema_says(data: st.DataObject) -> None:
    """Of every keyword that it knows, alone and within others; else it says that it cannot."""
    part = data.draw(of_keywords(of_keywords(st.booleans())))
    whole = {**part, "$defs": {"a": {"type": ["object", "string"], "maxLength": 1}}}
    value = data.draw(VALUES)
    try:
        found = fulfilment(whole)(value)
    except UnknownKeywordError:
        return
    assert found is jsonschema.Draft202012Validator(whole).is_valid(value)


@pytest.mark.parametrize("shipped", [schema(), policy_file.SCHEMA, configuration.FILE_SCHEMA])
def test_the_schemas_of_our_own_files_are_known(shipped: dict[str, Any]) -> None:
    """What they say of a file is said fast."""
    assert fulfilment(shipped)([]) is False


@pytest.mark.parametrize(
    "of",
    [
        {"contains": {"type": "string"}},
        {"enum": [1]},
        {"$ref": "other.json"},
        {"properties": {"a": {"patternProperties": {}}}},
        {"then": {"type": "string"}},
    ],
)
def test_what_is_not_known_is_told(of: dict[str, Any]) -> None:
    """A keyword that was passed over would let wrong data in."""
    with pytest.raises(UnknownKeywordError):
        fulfilment(of)


def test_lists_that_hold_no_texts_are_left_to_others() -> None:
    """Whether 1 is true differs from language to language."""
    with pytest.raises(UnknownKeywordError):
        fulfilment({"uniqueItems": True})([1, True])
