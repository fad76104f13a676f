"""Functions that a person names by ``MODULE:NAME``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inferwatch.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable


def named(text: str) -> Callable[..., Any]:
    """What ``module:name`` names, found also in the working directory.

    Raises:
        CommandError: There is no such thing, or it cannot be called.
    """
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise CommandError(f"{text!r} is not of the form MODULE:NAME, like app.models:answer.")
    # A program that pip installs looks for modules beside itself only.
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise CommandError(f"{text} cannot be imported: {error}.") from error
    if not callable(found):
        raise CommandError(f"{text} is {type(found).__name__}, which cannot be called.")
    return found  # type: ignore[no-any-return]  # callable, as was asked
