"""Controls: what they say about a call, and that a service obeys, whatever the call's kind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from steered_sdk import SteeredSdk

import inferwatch_agents
from inferwatch_agents import CircuitOpenError, ConfigurationError, guard, monitor, process
from inferwatch_agents.context import in_request
from inferwatch_agents.controls.control import Control
from inferwatch_agents.controls.decisions import Controls
from inferwatch_agents.errors import ControlError
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder, decode

OPEN = Control(action="open_circuit", model="m", reason="it times out", incident_id="7")
SHED = Control(action="shed_load", service="svc", ratio=0.25)
NOW = 1_000_000


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> SteeredSdk:
    """Return a running SDK that was told of one open circuit."""
    running = SteeredSdk()
    running.control(OPEN)
    monkeypatch.setattr(process, "_active", running)
    return running


def stopping(
    *controls: Control, model: str | None = "m", endpoint: str = "/a", now: int = NOW,
    chance: float = 0.5, environment: str = "test",
) -> Control | None:  # fmt: skip
    """What controls of all services say about a call of this one."""
    return Controls.of(controls, "svc", environment).stopping(model, endpoint, now, chance)


def test_a_control_is_for_what_it_names() -> None:
    """Of several fields, for what has all of them; of none that it does not name."""
    assert stopping(OPEN) == OPEN
    assert stopping(OPEN, model="other") is None
    assert stopping(OPEN, model=None) is None
    both = replace(OPEN, endpoint="/a", environment="test", service="svc")
    assert stopping(both) == both
    assert stopping(both, endpoint="/b") is None
    assert stopping(both, environment="production") is None
    assert stopping(replace(OPEN, service="another")) is None
    assert stopping() is None


def test_a_control_is_over_when_it_expires() -> None:
    """By the service's clock, without another record."""
    dated = replace(OPEN, expires_at=NOW)
    assert stopping(dated, now=NOW - 1) == dated
    assert stopping(dated, now=NOW) is None
    arm = Control(action="end_arm", experiment="e", variant="v", expires_at=NOW)
    ends = [Controls.of([arm], "svc", "test").ends("e", "v", now) for now in (NOW - 1, NOW)]
    assert ends == [True, False]


@given(st.floats(0, 1, exclude_min=True), st.floats(0, 1, exclude_max=True))
def test_load_is_shed_by_its_ratio(ratio: float, chance: float) -> None:
    """Of chances between 0 and 1 those below it; a ratio of 1 stops every call."""
    shed = replace(SHED, ratio=ratio)
    assert (stopping(shed, chance=chance) is shed) == (chance < ratio)


def test_an_open_circuit_goes_before_shedding() -> None:
    """What was told last does not matter."""
    for controls in ((OPEN, SHED), (SHED, OPEN)):
        assert stopping(*controls, chance=0.0) == OPEN
    assert stopping(OPEN, SHED, model="other", chance=0.0) == SHED


def test_unknown_actions_stop_nothing() -> None:
    """A newer version's."""
    assert stopping(Control(action="slow_down", model="m"), chance=0.0) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"action": "open_circuit"}, "needs a service, a model or an endpoint"),
        ({"action": "open_circuit", "environment": "test"}, "needs a service, a model"),
        ({"action": "shed_load", "model": "m"}, "ratio is None; it must be above 0"),
        ({"action": "shed_load", "model": "m", "ratio": 0.0}, "ratio is 0.0"),
        ({"action": "shed_load", "model": "m", "ratio": 1.5}, "ratio is 1.5"),
        ({"action": "end_arm", "experiment": "e"}, "needs an experiment and a variant"),
    ],
)
def test_what_cannot_be_is_told(fields: dict[str, Any], said: str) -> None:
    """In one sentence."""
    with pytest.raises(ControlError, match=said):
        Control(**fields)


@pytest.mark.parametrize(
    "control",
    [
        OPEN,
        replace(SHED, environment="test", endpoint="/é", expires_at=1_800_000_000_123_456),
        Control(action="end_arm", experiment="e", variant="v", actor="me"),
    ],
)
def test_a_record_says_all_that_code_can(control: Control) -> None:
    """What is published is what is read, to the microsecond."""
    registry = PinnedRegistry()
    value = Encoder("control", registry).encode(control.to_record(7))
    assert Control.from_record(decode(value, registry)) == control


def test_a_target_is_its_fields() -> None:
    """Two controls of one target have one key, whatever else they say; no two targets share one."""
    assert OPEN.target == '{"model":"m"}'
    assert replace(OPEN, action="shed_load", ratio=0.5, reason="").target == OPEN.target
    assert replace(OPEN, model='m","service":"s').target != replace(OPEN, service="s").target


def obeyed(sdk: SteeredSdk) -> None:
    """Hold against the one call that was stopped."""
    call = sdk.one()
    assert (call.model, call.error_type) == ("m", "circuit_open")
    assert call.duration_seconds is not None
    record = call.record()
    # It counts as a failed call, and not as a fast one.
    assert record["error_type"] == "circuit_open"
    assert (record["duration_seconds"], record["time_to_first_token_seconds"]) == (None, None)


def test_a_functions_fallback_is_called(sdk: SteeredSdk) -> None:
    """With the same arguments, in the function's place, which stays what it is."""

    def cheap(question: str, *, model: str) -> str:
        return f"{question} {model} later"

    @monitor(fallback=cheap)
    def ask(question: str, *, model: str) -> str:
        """Ask."""
        return question if model == "other" else "asked"

    assert ask("q", model="m") == "q m later"
    obeyed(sdk)
    assert (ask.__doc__, ask("q", model="other")) == ("Ask.", "q")


def test_a_coroutines_fallback_is_called(sdk: SteeredSdk) -> None:
    """And awaited."""

    async def cheap() -> str:
        await asyncio.sleep(0)
        return "later"

    @monitor(model="m", fallback=cheap)
    async def ask() -> str:
        await asyncio.sleep(0)
        return "asked"

    assert asyncio.run(ask()) == "later"
    obeyed(sdk)


def test_a_streams_fallback_is_read(sdk: SteeredSdk) -> None:
    """In place of a generator, with what is sent to it."""

    def cheap() -> Iterator[str]:
        yield from ("later", "on")

    @monitor(model="m", fallback=cheap)
    def stream() -> Iterator[str]:
        yield "asked"

    assert list(stream()) == ["later", "on"]
    obeyed(sdk)


def test_an_asynchronous_streams_fallback_is_read(sdk: SteeredSdk) -> None:
    """As a generator's."""

    async def cheap() -> AsyncIterator[str]:
        yield "later"

    @monitor(model="m", fallback=cheap)
    async def stream() -> AsyncIterator[str]:
        yield "asked"

    async def read() -> list[str]:
        return [item async for item in stream()]

    assert asyncio.run(read()) == ["later"]
    obeyed(sdk)


def test_a_fallback_is_of_the_functions_kind() -> None:
    """Said where it is decorated: a caller who awaits an answer could not use a plain one."""
    with pytest.raises(ConfigurationError, match=r"cheap is a function.*is a coroutine function"):

        @monitor(fallback=lambda: None)
        async def cheap() -> None:
            """Never called."""


def test_objects_that_can_be_called_are_of_their_methods_kind(sdk: SteeredSdk) -> None:
    """As a function and as a fallback."""

    class Model:
        def __init__(self, answer: str) -> None:
            self.answer = answer

        async def __call__(self) -> str:
            return self.answer

    ask = monitor(model="m", fallback=Model("later"))(Model("asked"))
    assert asyncio.run(ask()) == "later"
    obeyed(sdk)


def test_calls_without_a_fallback_are_made(sdk: SteeredSdk) -> None:
    """No control reaches a caller who did not ask for it."""

    @monitor(model="m")
    def ask() -> str:
        return "asked"

    assert ask() == "asked"
    assert sdk.one().error_type is None


def test_a_guard_stops_the_call_it_stands_in(sdk: SteeredSdk) -> None:
    """The service sees why, and the call fails for that."""

    @monitor(model="m")
    def ask() -> str:
        guard()
        return "asked"

    with pytest.raises(CircuitOpenError, match=r"circuit_open for model m: it times out") as caught:
        ask()
    assert caught.value.control is OPEN
    obeyed(sdk)
    sdk.calls.clear()
    with pytest.raises(CircuitOpenError), inferwatch_agents.call(model="m"):
        guard()
    obeyed(sdk)
    with inferwatch_agents.call(model="other"):
        guard()


def test_a_guard_outside_of_a_call_stops_a_route(sdk: SteeredSdk) -> None:
    """What is stopped is an event; what is not is none, and the request is not told of one."""
    calls = []

    class Request:
        method = "GET"
        trace = None

        def endpoint(self) -> str:
            return "/a"

        def called(self) -> None:
            calls.append(self)

    guard()
    with in_request(Request()):
        guard()
        assert (sdk.calls, calls) == ([], [])
        sdk.control(Control(action="shed_load", endpoint="/a", ratio=1.0))
        with pytest.raises(CircuitOpenError):
            guard()
    call = sdk.one()
    assert (call.endpoint, call.error_type, len(calls)) == ("/a", "load_shed", 1)


def test_without_the_sdk_nothing_is_stopped() -> None:
    """Before init and after shutdown."""

    @monitor(model="m", fallback=lambda: "later")
    def ask() -> str:
        guard()
        return "asked"

    assert ask() == "asked"


def test_a_fallback_that_fails_fails_the_call(sdk: SteeredSdk) -> None:
    """Its exception is the caller's; the call's error stays that it was stopped."""

    def cheap() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        monitor(model="m", fallback=cheap)(lambda: None)()
    obeyed(sdk)


def test_expiry_is_read_to_the_microsecond() -> None:
    """As the decoder gives it, with its time zone."""
    record = {**OPEN.to_record(0), "expires_at": datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)}
    assert Control.from_record(record).expires_at == 1_767_225_600_000_001
