"""What a service asks and says of experiments, and the events that come of it."""

import itertools
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from steered_sdk import SteeredSdk

import inferwatch_agents
from inferwatch_agents import Experiment, assign, conversion, define, identify, process, traces
from inferwatch_agents.context import BELONGING, NOBODY, in_request
from inferwatch_agents.controls.control import Control
from inferwatch_agents.experiments import assigning
from inferwatch_agents.experiments.assignment import assigned
from inferwatch_agents.experiments.exposures import Remembered
from inferwatch_agents.trace_context import Trace
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder

PROMPT = Experiment("prompt", {"short": 0.5, "long": 0.5}, metrics=("thumbs_up",))
HALF = replace(PROMPT, coverage=0.5)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(assigning, "_defined", {})
    token = BELONGING.set(NOBODY)
    yield
    BELONGING.reset(token)


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> SteeredSdk:
    """Return a running SDK that was told of one experiment."""
    running = SteeredSdk()
    running.define(PROMPT)
    monkeypatch.setattr(process, "_active", running)
    return running


def users_of(experiment: Experiment) -> dict[str | None, str]:
    """A user of each variant, and one of none where there is one."""
    found: dict[str | None, str] = {}
    for number in range(50):
        dealt = assigned(experiment, f"u{number}", datetime.now(UTC))
        found.setdefault(dealt and dealt.variant, f"u{number}")
    return found


def test_an_exposure_is_told_once(sdk: SteeredSdk) -> None:
    """With all that its schema asks for; a user of another variant is another exposure."""
    users = users_of(PROMPT)
    for _ in range(3):
        assert assign("prompt", users["short"]) == "short"
        assert assign("prompt", users["long"]) == "long"
    assert [(schema, record["variant"]) for schema, record in sdk.events] == [
        ("exposure", "short"),
        ("exposure", "long"),
    ]
    header = {"event_id": "e", "producer_id": "p", "sequence": 0, "event_time": 0}
    encoder = Encoder("exposure", PinnedRegistry())
    assert all(encoder.encode({**record, **header}) for _, record in sdk.events)
    assert sdk.faults == []


def test_the_user_is_the_identified_one(sdk: SteeredSdk) -> None:
    """And nobody without one; an id that is no text is made one."""
    assert assign("prompt") is None
    with identify(user="u1"):
        assert assign("prompt") == assign("prompt", "u1")
    assert assign("prompt", cast("Any", 7)) == assign("prompt", "7")
    assert [record["user_id"] for _, record in sdk.events] == ["u1", "7"]


def test_who_is_not_in_is_told_of_nowhere(sdk: SteeredSdk) -> None:
    """No definition, no coverage, an arm that was ended: None, and no event."""
    assert assign("unknown", "u1") is None
    users = users_of(HALF)
    sdk.define(HALF)
    assert assign("prompt", users[None]) is None
    sdk.control(Control(action="end_arm", experiment="prompt", variant="long"))
    assert assign("prompt", users["long"]) is None
    conversion("thumbs_up", user=users["long"])
    conversion("thumbs_up", user=users[None])
    assert sdk.events == []
    assert assign("prompt", users["short"]) == "short"
    sdk.control(Control(action="end_arm", experiment="prompt", variant="long", expires_at=1))
    assert assign("prompt", users["long"]) == "long"


def test_forced_users_and_winners_are_not_counted(sdk: SteeredSdk) -> None:
    """They get their variant, and are in no event."""
    sdk.define(replace(PROMPT, forced={"me": "long"}))
    assert assign("prompt", "me") == "long"
    conversion("thumbs_up", user="me")
    sdk.define(replace(PROMPT, status="stopped", winner="short"))
    assert assign("prompt", "u1") == "short"
    assert sdk.events == []


def test_calls_are_marked_with_the_variant(sdk: SteeredSdk) -> None:
    """The one in progress and those that follow; a user who is not in takes the mark away."""
    sdk.define(HALF, replace(PROMPT, key="other"))
    users = users_of(HALF)
    with inferwatch_agents.call(model="m"):
        assign("other", users["long"])
        assign("prompt", users["long"])
    with inferwatch_agents.call(model="m"):
        pass
    assign("prompt", users["short"])
    with inferwatch_agents.call(model="m"):
        pass
    assign("prompt", users[None])
    with inferwatch_agents.call(model="m"):
        pass
    found = [dict(call.experiments) for call in sdk.calls]
    other = found[0]["other"]
    assert found == [
        {"other": other, "prompt": "long"},
        {"other": other, "prompt": "long"},
        {"other": other, "prompt": "short"},
        {"other": other},
    ]


def test_a_conversion_counts_where_its_metric_is_measured(sdk: SteeredSdk) -> None:
    """For each experiment that measures it, or the one that is named, under the user's variant."""
    sdk.define(
        replace(PROMPT, key="second"),
        replace(PROMPT, key="unmeasured", metrics=("purchase",)),
        replace(PROMPT, key="paused", status="paused"),
    )
    conversion("thumbs_up", 2, user="u1")
    conversion("thumbs_up", user="u1", experiment="unmeasured")
    conversion("no such metric", user="u1")
    told = [(r["experiment"], r["metric"], r["value"]) for _, r in sdk.events]
    assert told == [
        ("prompt", "thumbs_up", 2.0),
        ("second", "thumbs_up", 2.0),
        ("unmeasured", "thumbs_up", 1.0),
    ]
    header = {"event_id": "e", "producer_id": "p", "sequence": 0, "event_time": 0}
    encoder = Encoder("conversion", PinnedRegistry())
    for schema, record in list(sdk.events):
        assert schema == "conversion"
        assert encoder.encode({**record, **header})
        assert record["variant"] == assign(record["experiment"], "u1")


def test_events_carry_the_trace_of_their_request(sdk: SteeredSdk) -> None:
    """That of the HTTP request, where OpenTelemetry has none."""

    class Request:
        method = "GET"
        trace = Trace("a" * 32, "b" * 16)

        def endpoint(self) -> str:
            return "/"

        def called(self) -> None:
            """Nothing to do."""

    with in_request(Request()):
        assign("prompt", "u1")
    assign("prompt", "u2")
    assert [record["trace_id"] for _, record in sdk.events] == ["a" * 32, None]


def test_nothing_reaches_the_service(sdk: SteeredSdk) -> None:
    """What goes wrong inside is counted."""

    class Odd:
        def __str__(self) -> str:
            raise ValueError

    assert assign("prompt", cast("Any", Odd())) is None
    conversion("thumbs_up", cast("Any", "much"), user="u1")
    assert [where for where, _ in sdk.faults] == ["assigning", "a conversion"]


def test_definitions_of_ones_own_need_no_kafka(tmp_path: Path) -> None:
    """In code or a file, without init too; what Kafka says of the same key goes before."""
    file = tmp_path / "e.json"
    file.write_text('{"key": "filed", "variants": ["a", "b"], "forced": {"u": "b"}}')
    define(replace(PROMPT, forced={"u": "long"}), file)
    assert (assign("prompt", "u"), assign("filed", "u")) == ("long", "b")
    conversion("thumbs_up", user="u")


def test_kafkas_definition_goes_before_ones_own(sdk: SteeredSdk) -> None:
    """Whoever runs the service can be overruled by whoever runs the experiment."""
    define(replace(PROMPT, forced={"u": "long"}), replace(PROMPT, key="own", forced={"u": "long"}))
    sdk.define(replace(PROMPT, forced={"u": "short"}))
    assert (assign("prompt", "u"), assign("own", "u")) == ("short", "long")


def test_what_is_remembered_is_bounded() -> None:
    """The last so many are known, never more than twice as many, and old ones are new again."""
    remembered = Remembered(10)
    for number in range(35):
        assert remembered.is_new("e", "v", str(number))
        last = range(max(0, number - 9), number + 1)
        assert not any(remembered.is_new("e", "v", str(known)) for known in last)
    kept = len(remembered._young) + len(remembered._old)  # noqa: SLF001  # its memory is the point
    assert kept <= 20
    assert remembered.is_new("e", "v", "0")
    pairs = itertools.product(("e", "f"), ("v", "w"))
    assert all(remembered.is_new(e, v, "another") for e, v in pairs)


def test_a_records_trace_is_the_exposures(sdk: SteeredSdk) -> None:
    """Also outside of an HTTP request, as that of a call is."""
    record = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    with traces.extract(record):
        assign("prompt", "u1")
    ((_, event),) = sdk.events
    assert event["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_who_is_told_of_no_variant_is_marked_with_none(
    sdk: SteeredSdk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where something of the service fails, a request does not say what was not served."""

    def fail() -> None:
        raise AttributeError("get_current_span")

    monkeypatch.setattr(assigning, "current_trace", fail)
    assert assign("prompt", "u1") is None
    assert BELONGING.get().experiments == ()
    assert [where for where, _ in sdk.faults] == ["assigning"]


def test_remembering_takes_the_same_for_any_user() -> None:
    """Ids come from callers, and a long one is not kept."""
    remembered, sizes = Remembered(), []
    tracemalloc.start()
    try:
        for number in range(40):
            user = f"{number}" * 100_000
            assert [remembered.is_new("prompt", "short", user) for _ in range(2)] == [True, False]
            del user
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[-1] - sizes[0] < 1_000_000
