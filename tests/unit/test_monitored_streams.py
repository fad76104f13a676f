"""The decorator on generators: a stream is one call, and behaves as it would alone."""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitored_functions import ANSWER, OverloadedError, async_generator, generator
from sdk_recorder import Recorder

import inferwatch_agents
from inferwatch_agents import current_call, monitor


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
