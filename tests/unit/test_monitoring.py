"""The decorator: the event has what happened, and the function stays what it was."""

import asyncio
import functools
import gc
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdk_recorder import Recorder

import inferwatch_agents
from inferwatch_agents import client, current_call, monitor

ANSWER = {"model": "m-1", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


@pytest.fixture(name="recorder")
def _recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(client, "_active", recorder)
    return recorder


class OverloadedError(Exception):
    """As clients raise it."""

    status_code = 529


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
    assert call.error_type == f"{__name__}.OverloadedError"
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
    assert client.active() is None
    assert monitor(lambda: current_call().model)() is None
    assert list(monitor(lambda: iter([1]))()) == [1]


def plain(a: int, b: int = 2) -> int:
    """The sum."""
    return a + b


async def coroutine(a: int, b: int = 2) -> int:
    """The sum."""
    return a + b


def generator(a: int, b: int = 2) -> Iterator[int]:
    """Both."""
    yield a
    yield b


async def async_generator(a: int, b: int = 2) -> AsyncIterator[int]:
    """Both."""
    yield a
    yield b


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


def echo() -> Generator[Any, Any, str]:
    """Answer what is sent; survive ValueError; return at the word end."""
    said: Any = "first"
    while said != "end":
        try:
            said = yield said
        except ValueError as error:
            said = f"caught {error}"
    return "returned"


async def async_echo() -> AsyncGenerator[Any, Any]:
    """As ``echo``, without a result."""
    said: Any = "first"
    while said != "end":
        try:
            said = yield said
        except ValueError as error:
            said = f"caught {error}"


# What a reader may do to a generator: what it sends, or the exception that it throws.
ACTIONS = st.lists(
    st.one_of(
        st.sampled_from([None, 1, "x", "end"]),
        st.sampled_from([ValueError("v"), KeyError("k"), GeneratorExit(), StopIteration("s")]),
    ),
    max_size=6,
)


def drive(made: Generator[Any, Any, Any], actions: list[Any]) -> list[Any]:
    """What a reader sees of a generator."""
    seen: list[Any] = []
    try:
        seen.append(next(made))
        for action in actions:
            if isinstance(action, BaseException):
                seen.append(made.throw(action))
            else:
                seen.append(made.send(action))
        made.close()
    except BaseException as error:  # noqa: BLE001  # whatever comes out is compared
        seen += [type(error), str(error), getattr(error, "value", None)]
    return seen


@given(ACTIONS)
def test_a_generator_behaves_as_it_would_alone(actions: list[Any]) -> None:
    """Whatever is sent, thrown and closed, the reader sees what the generator itself would do."""
    assert drive(monitor(echo)(), actions) == drive(echo(), actions)


def adrive(made: AsyncGenerator[Any, Any], actions: list[Any]) -> list[Any]:
    """What a reader sees of an asynchronous generator."""

    async def run() -> list[Any]:
        seen: list[Any] = []
        try:
            seen.append(await anext(made))
            for action in actions:
                if isinstance(action, BaseException):
                    seen.append(await made.athrow(action))
                else:
                    seen.append(await made.asend(action))
            await made.aclose()
        except BaseException as error:  # noqa: BLE001  # as above
            seen += [type(error), str(error)]
        return seen

    return asyncio.run(run())


@given(ACTIONS)
def test_an_async_generator_behaves_as_it_would_alone(actions: list[Any]) -> None:
    """As for generators."""
    assert adrive(monitor(async_echo)(), actions) == adrive(async_echo(), actions)


CHUNKS = [{"type": "ping"}, {"choices": []}, ANSWER]


def test_a_stream_is_one_call_until_its_end(recorder: Recorder) -> None:
    """Its first token is its first item that is one, and its last chunk has the tokens."""

    @monitor(model="m")
    def stream() -> Iterator[Any]:
        for chunk in CHUNKS:
            assert current_call().model == "m"
            yield chunk

    reading = stream()
    assert recorder.open == set()
    assert next(reading) is CHUNKS[0]
    assert current_call().model is None
    assert len(recorder.open) == 1
    assert list(reading) == CHUNKS[1:]
    call = recorder.one()
    assert call.time_to_first_token_seconds is not None
    assert call.duration_seconds is not None
    assert 0 < call.time_to_first_token_seconds <= call.duration_seconds
    assert (call.input_tokens, call.output_tokens) == (10, 5)


def test_an_async_stream_is_one_call_until_its_end(recorder: Recorder) -> None:
    """As of a generator."""

    @monitor(model="m")
    async def stream() -> AsyncIterator[Any]:
        for chunk in CHUNKS:
            await asyncio.sleep(0)
            assert current_call().model == "m"
            yield chunk

    async def read() -> list[Any]:
        return [item async for item in stream()]

    assert asyncio.run(read()) == CHUNKS
    call = recorder.one()
    assert call.time_to_first_token_seconds is not None
    assert call.output_tokens == 5


def test_a_stream_that_is_abandoned_ends_the_call(recorder: Recorder) -> None:
    """Whoever stops reading, by close or by letting go, is no error of the model."""
    monitored = monitor(generator)
    closed = monitored(1)
    next(closed)
    closed.close()  # type: ignore[attr-defined]  # it is a generator
    dropped = monitored(1)
    next(dropped)
    del dropped
    gc.collect()
    assert [(c.error_type, c.duration_seconds is None) for c in recorder.calls] == [
        (None, False)
    ] * 2
    assert recorder.open == set()


def test_an_async_stream_that_is_abandoned_ends_the_call(recorder: Recorder) -> None:
    """Closed at once, or by the event loop when nobody holds it any more."""
    closed_inside: list[bool] = []

    @monitor
    async def stream() -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed_inside.append(True)

    async def read() -> None:
        async with aclosing(stream()) as reading:
            await anext(reading)
        async for _ in stream():
            break
        gc.collect()
        # The loop's own finaliser ends it, and sets no event.
        while len(recorder.calls) < 2:  # noqa: ASYNC110  # as said above
            await asyncio.sleep(0)

    asyncio.run(read())
    assert [call.error_type for call in recorder.calls] == [None, None]
    assert (closed_inside, recorder.open) == ([True, True], set())


def test_a_stream_that_is_cancelled_is_an_error(recorder: Recorder) -> None:
    """The reader's task is cancelled while the model thinks."""

    async def cancel() -> None:
        started = asyncio.Event()

        @monitor
        async def stream() -> AsyncIterator[int]:
            yield 1
            started.set()
            await asyncio.Event().wait()
            yield 2

        async def read() -> None:
            async for _ in stream():
                pass

        task = asyncio.create_task(read())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert recorder.one().error_type == "asyncio.exceptions.CancelledError"


def test_a_stream_that_fails_in_between_is_an_error(recorder: Recorder) -> None:
    """What came before has arrived."""

    @monitor
    def stream() -> Iterator[int]:
        yield 1
        raise OverloadedError

    seen = []
    with pytest.raises(OverloadedError):
        seen.extend(stream())
    assert recorder.one().status_code == 529


def test_a_generator_that_is_never_read_is_no_call(recorder: Recorder) -> None:
    """Its body has not run."""
    monitor(generator)(1)
    assert (recorder.calls, recorder.open) == ([], set())


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


def test_clients_streams_are_read_as_they_pass(recorder: Recorder) -> None:
    """In a block, call.stream and call.astream take note of each item."""
    with inferwatch_agents.call(model="m") as call:
        assert list(call.stream(iter(CHUNKS))) == CHUNKS

    async def read() -> list[Any]:
        with inferwatch_agents.call(model="m") as call:
            return [item async for item in call.astream(async_generator(1))]

    assert asyncio.run(read()) == [1, 2]
    assert [c.time_to_first_token_seconds is None for c in recorder.calls] == [False, False]
    assert recorder.calls[0].output_tokens == 5


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
