"""The decorator: the event has what happened, and the function stays what it was."""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from monitored_functions import (
    ANSWER,
    OverloadedError,
    async_generator,
    coroutine,
    generator,
    plain,
)
from sdk_recorder import Recorder

from inferwatch_agents import current_call, monitor, process


def test_a_function_is_one_call(recorder: Recorder) -> None:
    """Its answer is passed on as it is, and read."""

    @monitor(model="m", provider="openai", operation="text_completion", endpoint="/e")
    def ask(question: str) -> dict[str, Any]:
        assert question == "why"
        return ANSWER

    assert ask("why") is ANSWER
    call = recorder.one()
    assert (call.model, call.provider, call.operation) == ("m", "openai", "text_completion")
    assert (call.endpoint, call.response_model, call.error_type) == ("/e", "m-1", None)
    assert (call.input_tokens, call.output_tokens) == (10, 5)
    assert call.duration_seconds is not None
    assert call.time_to_first_token_seconds is None


def test_what_it_raises_is_raised(recorder: Recorder) -> None:
    """The same exception comes out, and its class and status are the call's."""
    raised = OverloadedError("full")

    @monitor
    def ask() -> None:
        raise raised

    with pytest.raises(OverloadedError) as caught:
        ask()
    assert caught.value is raised
    assert raised.__context__ is None
    call = recorder.one()
    assert call.error_type == "monitored_functions.OverloadedError"
    assert call.status_code == 529


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_any_exception_ends_the_call(recorder: Recorder, error: type[BaseException]) -> None:
    """Built-in ones have no module in their name."""

    @monitor
    def ask() -> None:
        raise error

    with pytest.raises(error):
        ask()
    assert recorder.one().error_type == error.__name__


def test_the_argument_model_names_the_model(recorder: Recorder) -> None:
    """A client's own method can be decorated without saying the model twice."""
    ask = monitor(lambda **_named: None)
    ask(model="m-2")
    assert recorder.one().model == "m-2"


def test_without_init_nothing_happens() -> None:
    """A function that is monitored by nobody works as ever."""
    assert process.active() is None
    assert monitor(lambda: current_call().model)() is None
    assert list(monitor(lambda: iter([1]))()) == [1]


KINDS = (
    inspect.isfunction, inspect.iscoroutinefunction, inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
)  # fmt: skip


@pytest.mark.parametrize("function", [plain, coroutine, generator, async_generator])
def test_a_function_stays_what_it_is(function: Callable[..., Any]) -> None:
    """Kind, signature, name and documentation are the function's."""
    monitored = monitor(model="m")(function)
    assert [kind(monitored) for kind in KINDS] == [kind(function) for kind in KINDS]
    assert inspect.signature(monitored) == inspect.signature(function)
    assert (monitored.__name__, monitored.__doc__) == (function.__name__, function.__doc__)


def test_methods_and_callables_of_every_kind_work(recorder: Recorder) -> None:
    """Static and class methods, partials and objects are called as ever, and each is one call."""

    class Model:
        @monitor
        def ask(self, word: str) -> str:
            return word

        @staticmethod
        @monitor
        def static(word: str) -> str:
            return word

        @classmethod
        @monitor
        def of_class(cls, word: str) -> str:
            return word

        async def __call__(self, word: str) -> str:
            return word

    assert Model().ask("a") + Model.static("b") + Model.of_class("c") == "abc"
    assert monitor(functools.partial(plain, 1))() == 3
    called = monitor(Model())
    assert inspect.iscoroutinefunction(called)
    assert asyncio.run(called("d")) == "d"  # type: ignore[arg-type]  # an object with __call__
    assert len(recorder.calls) == 5


def test_the_function_can_say_more(recorder: Recorder) -> None:
    """In it, the current call is its own, also when calls are nested."""

    @monitor(model="inner")
    def inner() -> None:
        current_call().status_code = 200

    @monitor(model="outer")
    def outer() -> None:
        inner()
        current_call().input_tokens = 7

    outer()
    assert [(c.model, c.status_code, c.input_tokens) for c in recorder.calls] == [
        ("inner", 200, None),
        ("outer", None, 7),
    ]


def test_a_coroutine_is_one_call(recorder: Recorder) -> None:
    """Tasks that run at once do not see each other's call."""

    @monitor
    async def ask(model: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        current_call().session = model
        return ANSWER

    async def both() -> None:
        await asyncio.gather(ask(model="a"), ask(model="b"))

    asyncio.run(both())
    assert sorted((c.model, c.session, c.input_tokens) for c in recorder.calls) == [
        ("a", "a", 10),
        ("b", "b", 10),
    ]


def test_cancellation_is_an_error_and_goes_on(recorder: Recorder) -> None:
    """A cancelled coroutine is cancelled as ever, and the call says so."""

    async def cancel() -> None:
        started = asyncio.Event()

        @monitor
        async def ask() -> None:
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(ask())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(cancel())
    assert recorder.one().error_type == "asyncio.exceptions.CancelledError"


def test_the_sdks_own_failure_does_not_reach_the_caller(recorder: Recorder) -> None:
    """Neither where a call begins, nor where it ends, nor where an answer is read."""

    class Hostile:
        @property
        def usage(self) -> None:
            raise RuntimeError("not for you")

    def fail(_call: object) -> None:
        raise RuntimeError("a defect")

    recorder.began = fail  # type: ignore[method-assign]  # a defect
    recorder.ended = fail  # type: ignore[method-assign]  # as above
    assert isinstance(monitor(Hostile)(), Hostile)
    assert [where for where, _ in recorder.faults] == [
        "beginning a call",
        "reading a response",
        "ending a call",
    ]


def test_arguments_that_do_not_fit_end_the_call(recorder: Recorder) -> None:
    """Of a function of any kind: the error is the caller's, and no call is left open."""

    @monitor
    def ask(question: str) -> str:
        return question

    @monitor
    async def wait(question: str) -> str:
        return question

    @monitor
    def stream(question: str) -> Iterator[str]:
        yield question

    @monitor
    async def astream(question: str) -> AsyncIterator[str]:
        yield question

    async def read() -> None:
        async for _ in astream():  # type: ignore[call-arg]  # that is the point
            pass

    for run in (
        ask,
        lambda: asyncio.run(wait()),  # type: ignore[call-arg]  # as above
        lambda: list(stream()),  # type: ignore[call-arg]  # as above
        lambda: asyncio.run(read()),
    ):
        with pytest.raises(TypeError, match="question"):
            run()  # type: ignore[operator]  # as above
        assert recorder.one().error_type == "TypeError"
        recorder.calls.clear()
