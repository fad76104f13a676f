"""Whether a file was changed since it was looked at last."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class WatchedFile:
    """A file that may be written, or replaced by another, at any time.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        """Look at it; what is read after this and then changed counts as changed."""
        self.path = path
        self._seen = _state(path)

    def changed(self) -> bool:
        """Whether it is another than when it was looked at last; said once of each change."""
        state = _state(self.path)
        changed, self._seen = state != self._seen, state
        return changed


def _state(path: Path) -> tuple[int, ...] | None:
    """What differs when a file was written, or replaced by another; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
