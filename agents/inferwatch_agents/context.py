"""Who and what a call belongs to: user, session, experiments and HTTP request, by context.

Kept in one context variable, which follows threads' and tasks' contexts as Python's own do.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

    from inferwatch_agents.trace_context import Trace


class Request(Protocol):
    """The HTTP request that calls are made in."""

    method: str
    trace: Trace | None

    def endpoint(self) -> str:
        """Its route, a template without ids."""
        ...

    def called(self) -> None:
        """A monitored call was made in it."""
        ...


@dataclass(frozen=True, slots=True)
class Belonging:
    """What calls inherit from where they are made.

    Attributes:
        user: Pseudonymous id.
        session: Id.
        experiments: Pairs of experiment and variant.
        request: The HTTP request; None outside of one.
        trace: The caller's span, from the headers of that request or of a message.
    """

    user: str | None = None
    session: str | None = None
    experiments: tuple[tuple[str, str], ...] = ()
    request: Request | None = None
    trace: Trace | None = None


NOBODY: Final = Belonging()
BELONGING: Final[ContextVar[Belonging]] = ContextVar("inferwatch_belonging", default=NOBODY)


class Entered:
    """A change of what calls inherit; as a context manager, until the end of its block."""

    __slots__ = ("_token",)

    def __init__(self, belonging: Belonging) -> None:
        self._token: Token[Belonging] | None = BELONGING.set(belonging)

    def __enter__(self) -> Self:
        """Nothing more: the change was made at once."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take it back."""
        token, self._token = self._token, None
        if token is not None:
            # In another context, as where a generator is ended by another task, it never held.
            with suppress(ValueError):
                BELONGING.reset(token)


def identify(*, user: str | None = None, session: str | None = None) -> Entered:
    """Say whose the calls are that this thread or task makes from now on.

    Alone, it holds until the end of the task, thread or request; with ``with``, until the end of
    the block. What is left out stays as it was.

    Args:
        user: Pseudonymous id of a user; OpenTelemetry user.id.
        session: OpenTelemetry session.id.
    """
    now = BELONGING.get()
    return Entered(
        replace(
            now,
            user=now.user if user is None else str(user),
            session=now.session if session is None else str(session),
        )
    )


def in_experiment(experiment: str, variant: str) -> Entered:
    """Say under which variant of an experiment the calls run; holds as ``identify`` does."""
    now = BELONGING.get()
    others = tuple(pair for pair in now.experiments if pair[0] != experiment)
    return Entered(replace(now, experiments=(*others, (str(experiment), str(variant)))))


def in_request(request: Request) -> Entered:
    """Make calls inherit from an HTTP request; holds as ``identify`` does."""
    return Entered(replace(BELONGING.get(), request=request, trace=request.trace))
