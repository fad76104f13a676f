"""The decorator: calls of a function become ``request`` events, and the function stays what it is.

What it returns and raises, its signature and its kind (function, coroutine function, generator
function, asynchronous generator function) are those of the function. Only where the arguments do
not fit it, a generator or coroutine says so when it starts to run, not when it is made.

A call begins when the body starts to run. A generator's call ends with the generator, also where
its reader stops early; that is no error, because the reader may have had enough. Cancellation and
whatever is raised is one.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from inferwatch_agents import process
from inferwatch_agents.calls import enter, leave
from inferwatch_agents.controls.guarding import check_fallback, stopped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from inferwatch_agents.calls import Call

    Begin: TypeAlias = Callable[[Mapping[str, Any]], Call]
    Choose: TypeAlias = Callable[[Call], Callable[..., Any]]

F = TypeVar("F", bound="Callable[..., Any]")


@overload
def monitor(function: F, /) -> F: ...


@overload
def monitor(
    *,
    model: str | None = None,
    provider: str | None = None,
    operation: str = "chat",
    endpoint: str | None = None,
    experiments: Mapping[str, str] | None = None,
    fallback: Callable[..., Any] | None = None,
) -> Callable[[F], F]: ...


def monitor(  # noqa: PLR0913  # what is said of a call, by name
    function: F | None = None,
    /,
    *,
    model: str | None = None,
    provider: str | None = None,
    operation: str = "chat",
    endpoint: str | None = None,
    experiments: Mapping[str, str] | None = None,
    fallback: Callable[..., Any] | None = None,
) -> F | Callable[[F], F]:
    """Make each call of a function a ``request`` event; without ``init`` it does nothing.

    In the function, ``current_call()`` is the call, to say what the SDK cannot see.

    Args:
        function: Where it stands alone: ``@monitor``.
        model: As requested; the function's argument ``model``, given by name, when None.
        provider: OpenTelemetry gen_ai.provider.name; the price table's for the model when None.
        operation: OpenTelemetry gen_ai.operation.name: chat, text_completion, embeddings, ...
        endpoint: Route of the service; that of the HTTP request it runs in when None.
        experiments: Variant by experiment.
        fallback: Called in the function's place, with the same arguments, where a control stops the
            call; of the function's kind. Without one no control stops a call.

    Raises:
        ConfigurationError: The fallback is of another kind.
    """

    def begin(named: Mapping[str, Any]) -> Call:
        name = model
        if name is None:
            given = named.get("model")
            name = given if isinstance(given, str) else None
        return process.call(
            model=name,
            provider=provider,
            operation=operation,
            endpoint=endpoint,
            experiments=experiments,
        )

    def decorate(decorated: F) -> F:
        called = decorated
        if not (inspect.isroutine(called) or isinstance(called, functools.partial | type)):
            # An object that can be called is of the kind of its method.
            called = type(decorated).__call__  # type: ignore[assignment]  # looked at, never called
        choose = None
        if fallback is not None:
            check_fallback(decorated, fallback)
            choose = _either(decorated, fallback)
        if inspect.iscoroutinefunction(called):
            return _coroutine(decorated, begin, choose)
        if inspect.isasyncgenfunction(called):
            return _async_generator(decorated, begin, choose)
        if inspect.isgeneratorfunction(called):
            return _generator(decorated, begin, choose)
        return _function(decorated, begin, choose)

    return decorate if function is None else decorate(function)


def _either(function: Callable[..., Any], fallback: Callable[..., Any]) -> Choose:
    return lambda call: fallback if stopped(call) else function


def _function(function: F, begin: Begin, choose: Choose | None) -> F:
    @functools.wraps(function)
    def monitored(*args: Any, **kwargs: Any) -> Any:
        call = begin(kwargs)
        chosen = function if choose is None else choose(call)
        token = enter(call)
        try:
            result = chosen(*args, **kwargs)
        except BaseException as error:
            leave(call, token)
            call.end(error)
            raise
        leave(call, token)
        call.response(result)
        call.end()
        return result

    return monitored  # type: ignore[return-value]  # of the same signature, as wraps says


def _coroutine(function: F, begin: Begin, choose: Choose | None) -> F:
    @functools.wraps(function)
    async def monitored(*args: Any, **kwargs: Any) -> Any:
        call = begin(kwargs)
        chosen = function if choose is None else choose(call)
        token = enter(call)
        try:
            result = await chosen(*args, **kwargs)
        except BaseException as error:
            leave(call, token)
            # A coroutine that is closed while it waits was given up by whoever ran it.
            call.end(error)
            raise
        leave(call, token)
        call.response(result)
        call.end()
        return result

    return monitored  # type: ignore[return-value]  # as above


def _generator(function: F, begin: Begin, choose: Choose | None) -> F:
    @functools.wraps(function)
    def monitored(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        call = begin(kwargs)
        chosen = function if choose is None else choose(call)
        try:
            # Python itself passes on what is sent, thrown and closed.
            result = yield from _Watched(chosen(*args, **kwargs), call)
        except GeneratorExit:
            call.end()
            raise
        except BaseException as error:
            call.end(error)
            raise
        call.response(result)
        call.end()
        return result

    return monitored  # type: ignore[return-value]  # as above


class _Watched:
    """A generator's iterator, with a call that is the current one while it runs."""

    __slots__ = ("_call", "_generator")

    def __init__(self, generator: Generator[Any, Any, Any], call: Call) -> None:
        self._generator = generator
        self._call = call

    def __iter__(self) -> _Watched:
        return self

    def __next__(self) -> Any:
        return self._step(self._generator.__next__)

    def send(self, value: Any) -> Any:
        return self._step(self._generator.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._generator.throw, *error)

    def close(self) -> None:
        token = enter(self._call)
        try:
            self._generator.close()
        finally:
            leave(self._call, token)

    def _step(self, resume: Callable[..., Any], *values: Any) -> Any:
        token = enter(self._call)
        try:
            item = resume(*values)
        finally:
            leave(self._call, token)
        self._call.item(item)
        return item


def _async_generator(function: F, begin: Begin, choose: Choose | None) -> F:
    @functools.wraps(function)
    async def monitored(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        call = begin(kwargs)
        chosen = function if choose is None else choose(call)
        try:
            # In the try: arguments that do not fit are found here, and end the call as well.
            generator = chosen(*args, **kwargs)
            step = generator.__anext__
            values: tuple[Any, ...] = ()
            while True:
                token = enter(call)
                try:
                    item = await step(*values)
                finally:
                    leave(call, token)
                call.item(item)
                try:
                    step, values = generator.asend, ((yield item),)
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001  # all that is thrown in is the generator's
                    step, values = generator.athrow, (error,)
        except StopAsyncIteration:
            call.end()
        except GeneratorExit:
            call.end()
            raise
        except BaseException as error:
            call.end(error)
            raise

    return monitored  # type: ignore[return-value]  # as above
