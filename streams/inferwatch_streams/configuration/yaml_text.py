"""YAML read as nodes, which know their lines, and as what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor

if TYPE_CHECKING:
    from collections.abc import Callable

_MARK: Final = "\ufeff"


def nodes_of(text: str) -> yaml.Node | None:
    """A text as nodes; None where it is empty.

    Raises:
        yaml.YAMLError: It is no YAML.
        RecursionError: It is nested too deeply.
    """
    # Of an empty value at the very end libyaml says that it is on the line after, and it passes
    # over a byte order mark also within the text, as of files that were put together.
    if _FAST is not None and text.endswith("\n") and _MARK not in text[1:]:
        try:
            return _composed(_FAST(text))
        except (yaml.YAMLError, ValueError):
            # PyYAML's own reader says more, and in the words that people know.
            pass
    return _composed(yaml.SafeLoader(text))


def data_of(node: yaml.Node) -> Any:
    """What a text says; the nodes are of no use then, for keys that are merged stand in them.

    Raises:
        yaml.YAMLError: It has a tag that is not YAML's own, or a key that is none.
        ValueError: It holds a date, a number or the like that is none.
        RecursionError: It is nested too deeply.
    """
    try:
        return SafeConstructor().construct_document(node)
    except (AttributeError, LookupError, OverflowError, TypeError) as error:
        # PyYAML's constructors take for granted that a tag fits: of "!!bool x" they raise KeyError.
        # The value is not said: it may be a secret.
        raise ValueError("a value is not what its tag or its form says") from error


def _composed(loader: Any) -> yaml.Node | None:
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()


def _fast() -> Callable[[str], Any] | None:
    """A loader whose events are libyaml's, and whose nodes are made in Python.

    libyaml's own nodes end the process where brackets are nested deeply; Python ends the recursion
    with an error.
    """
    if not yaml.__with_libyaml__:
        return None

    class Loader(Composer, yaml.CSafeLoader):
        def __init__(self, text: str) -> None:
            yaml.CSafeLoader.__init__(self, text)
            Composer.__init__(self)

    return Loader


_FAST: Final = _fast()
