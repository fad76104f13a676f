"""YAML read as nodes, which know their lines, and as what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml
from yaml.composer import Composer

if TYPE_CHECKING:
    from collections.abc import Callable


def read(text: str) -> tuple[yaml.Node | None, Any]:
    """A text as nodes and as data; None where it is empty.

    Raises:
        yaml.YAMLError: It is no YAML.
        ValueError: It holds a date, a number, or another tagged value that is none.
        IndexError: It holds a number of no digits at all.
        RecursionError: It is nested too deeply.
    """
    # Of an empty value at the very end libyaml says that it is on the line after.
    if _FAST is not None and text.endswith("\n"):
        try:
            return _loaded(_FAST(text))
        except (yaml.YAMLError, ValueError, IndexError):
            # PyYAML's own reader says more, and in the words that people know.
            pass
    return _loaded(yaml.SafeLoader(text))


def _loaded(loader: Any) -> tuple[yaml.Node | None, Any]:
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    except (AttributeError, KeyError, OverflowError, TypeError) as error:
        # PyYAML tries values without asking whether they can be what they say.
        raise ValueError("a value is not what its tag or its form says") from error
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
