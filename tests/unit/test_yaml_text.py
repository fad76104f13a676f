"""Files are read fast by libyaml, and say what they say to PyYAML's own reader."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.configuration import yaml_text

# Of texts that look like something else, and of all styles.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.sampled_from(["a", "yes", "1", "a: b", "- a", "#", "\u2028x", "two\nlines\n", " ", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "null", "b c", "<<"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def lines(node: yaml.Node) -> Any:
    """What stands where."""
    inner: Any = node.value
    if isinstance(node, yaml.SequenceNode):
        inner = [lines(each) for each in node.value]
    elif isinstance(node, yaml.MappingNode):
        inner = [(lines(key), lines(value)) for key, value in node.value]
    return node.start_mark.line, node.tag, inner


def said(text: str) -> Any:
    """What a text says."""
    node = yaml_text.nodes_of(text)
    assert node is not None
    return yaml_text.data_of(node)


@given(VALUES, st.sampled_from([True, False, None]))
def test_it_says_the_same_in_the_same_places(value: Any, flow: bool | None) -> None:  # noqa: FBT001  # hypothesis gives no keywords
    """In any style."""
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    assert text.endswith("\n")
    own = yaml.SafeLoader(text)
    expected = own.get_single_node()
    node = yaml_text.nodes_of(text)
    assert node is not None
    assert lines(node) == lines(expected)
    assert repr(yaml_text.data_of(node)) == repr(own.construct_document(expected))


def test_it_is_read_by_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which every wheel of PyYAML has."""
    monkeypatch.setattr(yaml, "SafeLoader", None)
    assert said("a: [1, x]\n") == {"a": [1, "x"]}


def test_without_libyaml_it_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML may have been built without."""
    monkeypatch.setattr(yaml_text, "_FAST", None)
    assert said("a: [1, x]\n") == {"a": [1, "x"]}


@pytest.mark.parametrize("text", ["rules:\n-", "rules:\n-\n"])
def test_an_empty_value_is_on_its_own_line(text: str) -> None:
    """Also where the file ends with it."""
    node = yaml_text.nodes_of(text)
    assert node is not None
    assert node.value[0][1].value[0].start_mark.line == 1


def test_what_is_wrong_is_told_in_the_words_of_pyyaml() -> None:
    """Those of libyaml are others."""
    with pytest.raises(yaml.MarkedYAMLError, match="could not find expected ':'"):
        yaml_text.nodes_of("a:\n- b\nc\n- d: 1\n")


def test_a_mark_within_the_text_is_read_as_pyyaml_reads_it() -> None:
    """Where files were put together one may stand; at the begin it stands for nothing."""
    assert said("\ufeffa: 1\n") == {"a": 1}
    assert said("a: [1,\n\ufeff 2]\n") == {"a": [1, "\ufeff 2"]}
