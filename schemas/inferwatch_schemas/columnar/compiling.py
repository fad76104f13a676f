"""How the hot loops are compiled: one setting for all, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

# Nothing compiled here allocates, so numba need not count references to its arrays (_nrt):
# counting took two fifths of the reader's time. Compiled code lets other threads run (nogil).
_OPTIONS: dict[str, Any] = {"nogil": True, "_nrt": False}

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


def _made(function: F, options: dict[str, Any]) -> F:
    try:
        # Compiled code is kept beside the source, or where the user's caches are.
        made = njit(cache=True, **options)(function)
    except RuntimeError:
        # Neither can be written to, and numba would rather not run at all.
        made = njit(**options)(function)
    FUNCTIONS.append(made)
    return made  # type: ignore[no-any-return]  # numba's overloads do not know _nrt
