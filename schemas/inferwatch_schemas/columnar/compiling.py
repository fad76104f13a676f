"""How the hot loops are compiled: one setting for all, typed."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

# Nothing compiled here allocates, so numba need not count references to its arrays (_nrt):
# counting took two fifths of the reader's time. Compiled code lets other threads run (nogil).
_OPTIONS: dict[str, Any] = {"nogil": True, "_nrt": False}

# What compiled functions of other packages are made from besides; those here of nothing else.
OWN: Final = Path(__file__).parent

#: Every function that is compiled.
FUNCTIONS: Final[list[Any]] = []


def compiled(function: F) -> F:
    """Compile a function of numbers and arrays; it must not allocate."""
    return _made(function, _OPTIONS)


def inlined(function: F) -> F:
    """As compiled, and always copied into its callers."""
    return _made(function, {"forceinline": True, **_OPTIONS})


def folders() -> set[str | None]:
    """Where compiled code is kept for the next start; None among them where some is not."""
    return {function.stats.cache_path for function in FUNCTIONS}


def has_begun() -> bool:
    """Whether anything was compiled, and not only loaded."""
    return any(function.stats.cache_misses for function in FUNCTIONS)


def keep_none() -> None:
    """Neither load compiled code nor keep it from now on, for what keeps it is broken."""
    for function in FUNCTIONS:
        function._cache.disable()  # noqa: SLF001  # numba has no other way


@cache
def digest(folder: Path) -> str:
    """Of all Python sources in a folder."""
    found = hashlib.blake2b(digest_size=16)
    # An editor's lock is a link to nowhere, named like the source that it locks.
    for path in sorted(path for path in folder.rglob("*.py") if path.is_file()):
        found.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _sources(function: Callable[..., Any]) -> Path:
    """The folder of all that may be copied into a function, but for what is here."""
    file = Path(function.__code__.co_filename)
    # The package of its module; a module in none has its own folder.
    levels = max(0, function.__module__.count(".") - 1)
    return OWN if file.is_relative_to(OWN) else file.parents[levels]


def _made(function: F, options: dict[str, Any]) -> F:
    try:
        # Compiled code is kept beside the source, or where the user's caches are.
        made = njit(cache=True, **options)(function)
        # numba compiles anew when the function's own file has another date or size. What was
        # copied into it from others is of their sources, and files of wheels have all one date.
        sources = _sources(function)
        kept = made._cache._cache_file  # noqa: SLF001  # numba has no other way
        kept._source_stamp = (kept._source_stamp, digest(OWN), digest(sources))  # noqa: SLF001  # as above
    except (RuntimeError, OSError):
        # Neither can be written to, and numba would rather not run at all; or a source cannot be
        # read, so that nobody knows what is kept of it.
        made = njit(**options)(function)
    FUNCTIONS.append(made)
    return made  # type: ignore[no-any-return]  # numba's overloads do not know _nrt
