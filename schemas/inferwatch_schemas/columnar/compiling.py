"""How the hot loops are compiled: one setting for all, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

# Nothing compiled here allocates, so numba need not count references to its arrays (_nrt):
# counting took two fifths of the reader's time. Compiled code is kept beside the source (cache)
# and lets other threads run (nogil).
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}


def compiled(function: F) -> F:
    """Compile a function of numbers and arrays; it must not allocate."""
    return njit(**_OPTIONS)(function)  # type: ignore[no-any-return]  # numba's overloads do not know _nrt


def inlined(function: F) -> F:
    """As compiled, and always copied into its callers."""
    return njit(forceinline=True, **_OPTIONS)(function)  # type: ignore[no-any-return]  # as above
