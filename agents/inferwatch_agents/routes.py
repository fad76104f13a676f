"""The endpoint of an HTTP request: the route's template, or its path folded to a bounded set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ID: Final = "{id}"
# A path without a route keeps so many segments; the rest of it is no route either.
SEGMENTS: Final = 6
# All digits, a UUID or hash, anything of some length with a digit in it (but not v1), or very long.
_ID: Final = re.compile(r"\d+|[0-9a-fA-F-]{16,}|(?=.*\d).{8,}|.{40,}")


def fold(path: str) -> str:
    """A path with what looks like an id replaced: ``/users/17/files`` is ``/users/{id}/files``."""
    segments = path.split("/")
    folded = [ID if _ID.fullmatch(segment) else segment for segment in segments[: SEGMENTS + 1]]
    return "/".join(folded + (["..."] if len(segments) > SEGMENTS + 1 else []))


def template(scope: Mapping[str, Any], root_path: str) -> str | None:
    """The route's template where the framework has put its route into the scope.

    A router that is mounted, or included with a prefix, names only its own part. What stands before
    it in the path is put in front, with the mount's parameters in place of their values.

    Args:
        scope: ASGI's, after routing.
        root_path: The scope's before routing: the part that is not the application's.

    Returns:
        None where there is no route.
    """
    route = scope.get("route")
    own = getattr(route, "path", None)
    if not isinstance(own, str):
        return None
    parameters = scope.get("path_params") or {}
    path = str(scope.get("path", "")).removeprefix(root_path)
    try:
        here = str(getattr(route, "path_format", own)).format(**parameters)
    except (LookupError, ValueError):
        return own
    if not path.endswith(here):
        # A converter has read the path's own text as something else: 007 as 7.
        return own
    before = path[: len(path) - len(here)]
    names = {str(value): f"{{{name}}}" for name, value in parameters.items()}
    return "/".join(names.get(segment, segment) for segment in before.split("/")) + own
