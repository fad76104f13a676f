"""Log records from a logger to line and event: the same in both, redacted, and never an error."""

import datetime as dt
import logging
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from log_recorder import NOW, LogRecorder, logger

from inferwatch_agents import identify, logs, process
from inferwatch_agents.calls import Call
from inferwatch_agents.context import in_request
from inferwatch_agents.logs import Send
from inferwatch_agents.logs.sending import MOST_NESTED, RECORD_BYTES, UNREADABLE, WITHHELD
from inferwatch_agents.trace_context import OPENTELEMETRY, Trace

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
OTHER = Trace("1" * 32, "2" * 16)
SECRET = "hunter2 and more"  # noqa: S105  # none


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> LogRecorder:
    """Return what stands for a running SDK."""
    recorder = LogRecorder()
    monkeypatch.setattr(process, "_active", recorder)
    return recorder


def send(**settings: Any) -> Send:
    """A processor under a clock that stands."""
    return Send(now=lambda: NOW, **settings)


def test_line_and_event_say_the_same(sdk: LogRecorder) -> None:
    """Level, time, logger, message and attributes, each where its reader looks for it."""
    log, lines = logger(send())
    log.info("answered", model="m", tokens=[1, 2], cost=1.5, cached=True, reason=None)
    assert lines == [
        {"timestamp": "2025-07-01T00:00:00.123456Z", "level": "info", "logger": "app",
         "event": "answered", "model": "m", "tokens": [1, 2], "cost": 1.5, "cached": True,
         "reason": None},
    ]  # fmt: skip
    record = sdk.one()
    assert record["event_time"] == NOW // 1000
    assert (record["service_name"], record["deployment_environment_name"]) == ("svc", "test")
    assert (record["severity_number"], record["severity_text"]) == (9, "info")
    assert (record["body"], record["otel_scope_name"]) == ("answered", "app")
    assert record["host_name"]
    assert record["attributes"] == {
        "model": "m", "tokens": "[1, 2]", "cost": "1.5", "cached": "true", "reason": "null",
    }  # fmt: skip
    absent = ("observed_time", "trace_id", "span_id", "trace_flags", "event_name", "error_type")
    assert {record[name] for name in absent} == {None}


def test_without_the_sdk_lines_are_written() -> None:
    """Before init and after shutdown; nothing is kept for later."""
    assert process.active() is None
    log, lines = logger(send())
    log.error("said")
    assert [line["event"] for line in lines] == ["said"]


@pytest.mark.parametrize(
    ("method", "number", "text"),
    [
        ("debug", 5, "debug"), ("info", 9, "info"), ("warn", 13, "warning"),
        ("warning", 13, "warning"), ("error", 17, "error"), ("critical", 21, "critical"),
        ("fatal", 21, "critical"), ("exception", 17, "error"),
    ],
)  # fmt: skip
def test_levels_are_severities(sdk: LogRecorder, method: str, number: int, text: str) -> None:
    """By OpenTelemetry's table, under structlog's names."""
    log, lines = logger(send())
    getattr(log, method)("said")
    assert (sdk.one()["severity_number"], sdk.one()["severity_text"]) == (number, text)
    assert lines[0]["level"] == text


def test_an_unknown_level_has_no_number(sdk: LogRecorder) -> None:
    """Nobody knows how grave it is; its name stays."""
    send()(None, "notice", {"event": "said"})
    assert (sdk.one()["severity_number"], sdk.one()["severity_text"]) == (None, "notice")


def test_a_message_may_be_structured(sdk: LogRecorder) -> None:
    """The body is JSON then."""
    send()(None, "info", {"event": {"a": [1, "é"]}})
    assert sdk.one()["body"] == '{"a": [1, "é"]}'


@pytest.mark.parametrize("form", ["error", "triple", "true"])
def test_an_exception_has_its_three_fields(sdk: LogRecorder, form: str) -> None:
    """However structlog was given it."""
    log, lines = logger(send())
    try:
        raise LookupError("not here") from ValueError("cause")  # noqa: TRY301  # the exception that is told
    except LookupError as error:
        log.exception("failed", exc_info={"error": error, "triple": sys.exc_info()}.get(form, True))
    record = sdk.one()
    assert (record["exception_type"], record["exception_message"]) == ("LookupError", "not here")
    assert record["exception_stacktrace"].startswith("ValueError: cause\n")
    assert record["exception_stacktrace"].endswith("\nLookupError: not here")
    assert record["attributes"] == {}
    assert lines[0]["exception.stacktrace"] == record["exception_stacktrace"]


def test_an_exception_that_cannot_be_told_is_named(sdk: LogRecorder) -> None:
    """Its class is known, and so is where it was raised."""

    class DumbError(Exception):
        def __str__(self) -> str:
            raise RuntimeError(SECRET)

    log, _ = logger(send())
    try:
        raise DumbError  # noqa: TRY301  # the exception that is told
    except DumbError:
        log.exception("failed")
    record = sdk.one()
    assert record["exception_type"].endswith("DumbError")
    assert record["exception_message"] == "[reading it raised RuntimeError]"
    assert "raise DumbError" in record["exception_stacktrace"]


def test_no_exception_has_no_fields(sdk: LogRecorder) -> None:
    """Where none is being handled, and none was given."""
    log, lines = logger(send())
    log.exception("no failure")  # noqa: LOG004  # what it is about
    log.info("said", exc_info=(None, None, None))
    assert all(record["exception_type"] is None for record in sdk.records())
    assert all("exception.type" not in line for line in lines)


def request(trace: Trace | None) -> Any:
    """An HTTP request as the middleware has it."""
    return SimpleNamespace(method="GET", trace=trace, endpoint=str, called=lambda: None)


def opentelemetry(trace: Trace) -> Any:
    """The module as a service has imported it, in a span."""
    context = SimpleNamespace(
        is_valid=True, trace_id=int(trace.trace_id, 16), span_id=int(trace.span_id, 16),
        trace_flags=1, trace_state={},
    )  # fmt: skip
    span = SimpleNamespace(get_span_context=lambda: context)
    return SimpleNamespace(get_current_span=lambda: span)


def test_trace_user_and_session_are_those_of_the_request(sdk: LogRecorder) -> None:
    """The trace in its own fields, the others under OpenTelemetry's names."""
    log, lines = logger(send())
    with in_request(request(TRACE)), identify(user="u1", session="s1"):
        log.info("said")
    record = sdk.one()
    assert (record["trace_id"], record["span_id"]) == TRACE[:2]
    assert record["attributes"] == {"user.id": "u1", "session.id": "s1"}
    assert (lines[0]["trace_id"], lines[0]["user.id"]) == (TRACE.trace_id, "u1")


def test_the_current_span_goes_before_the_call_and_the_request(
    sdk: LogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest that is known; a trace that the record was given goes before all."""
    log, _ = logger(send())
    with in_request(request(OTHER)):
        call = Call(sdk, "m", None, "chat", None)  # type: ignore[arg-type]  # it stands for the SDK
        call.place(TRACE)
        with call:
            log.info("in the call")
            monkeypatch.setitem(sys.modules, OPENTELEMETRY, opentelemetry(OTHER))
            log.info("in the span")
            log.info("given", trace_id=TRACE.trace_id)
            log.info("given nonsense", trace_id="nonsense", span_id=7)
    found = [(record["trace_id"], record["span_id"]) for record in sdk.records()]
    assert found == [TRACE[:2], OTHER[:2], (TRACE.trace_id, None), OTHER[:2]]
    assert sdk.faults == []


def test_what_is_no_trace_id_is_an_attribute(sdk: LogRecorder) -> None:
    """A search by trace id would not find it, and a header of it would mislead."""
    log, _ = logger(send())
    log.info("said", trace_id="0" * 32, span_id="x")
    assert sdk.one()["trace_id"] is None
    assert sdk.one()["attributes"] == {"trace_id": "0" * 32, "span_id": "x"}


def test_a_failing_tracer_costs_the_trace_only(
    sdk: LogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is sound."""
    monkeypatch.setitem(sys.modules, OPENTELEMETRY, SimpleNamespace())
    log, lines = logger(send())
    log.info("said")
    assert (lines[0]["event"], sdk.records()[0]["body"]) == ("said", "said")
    assert sdk.faults == [("finding the trace of a log record", "AttributeError was raised.")]


def test_a_hook_sees_all_that_leaves_and_decides(sdk: LogRecorder) -> None:
    """Message, exception, user, prompt: all plain, for line and event alike."""
    seen: list[dict[str, Any]] = []

    def hook(event: dict[str, Any]) -> dict[str, Any]:
        seen.append(event)
        return {**event, "event": "[gone]", "exception.message": "[gone]", "extra": b"x"}

    log, lines = logger(send(redact=hook, content=True))
    with identify(user="u1"):
        log.info(SECRET, exc_info=ValueError(SECRET), prompt=SECRET, obj=SimpleNamespace(a=1))
    assert seen[0]["event"] == seen[0]["prompt"] == seen[0]["exception.message"] == SECRET
    assert (seen[0]["user.id"], seen[0]["obj"]) == ("u1", "namespace(a=1)")
    assert (lines[0]["event"], lines[0]["extra"]) == ("[gone]", "x")
    record = sdk.one()
    assert (record["body"], record["exception_message"]) == ("[gone]", "[gone]")


def _raise(event: dict[str, Any]) -> dict[str, Any]:
    event["event"] = "half done"
    raise ValueError(f"cannot redact {event}")


@pytest.mark.parametrize("hook", [_raise, lambda _: None, lambda _: 7, lambda _, __: {}, "no hook"])
def test_where_a_hook_fails_nothing_leaves(sdk: LogRecorder, hook: Any) -> None:
    """But level, time and trace; it is counted, and the message of the failure is not told."""
    log, lines = logger(send(redact=hook))
    with in_request(request(TRACE)), identify(user=SECRET):
        log.bind(own=SECRET).error(SECRET, exc_info=ValueError(SECRET))
    assert lines == [
        {"timestamp": "2025-07-01T00:00:00.123456Z", "level": "error", "event": WITHHELD,
         "trace_id": TRACE.trace_id, "span_id": TRACE.span_id},
    ]  # fmt: skip
    (record,) = sdk.records()
    assert (record["body"], record["trace_id"], record["severity_number"]) == (
        WITHHELD, TRACE.trace_id, 17,
    )  # fmt: skip
    assert SECRET not in str(record)
    ((where, why),) = sdk.faults
    assert where == "redacting a log record"
    assert why in {f"{kind} was raised." for kind in ("ValueError", "TypeError")}


def test_a_hook_may_drop_a_record(sdk: LogRecorder) -> None:
    """In structlog's own way."""

    def drop(_event: dict[str, Any]) -> dict[str, Any]:
        raise structlog.DropEvent

    log, lines = logger(send(redact=drop))
    log.info("said")
    assert (lines, sdk.events, sdk.faults) == ([], [], [])


def test_secrets_are_redacted_by_default(sdk: LogRecorder) -> None:
    """And are not where that is switched off."""
    key = "sk-" + "0123456789" * 4
    log, lines = logger(send())
    log.info("key %s", key, password="p")  # noqa: S106  # none
    assert (lines[0]["event"], lines[0]["password"]) == ("key [redacted]", "[redacted]")
    assert sdk.one()["body"] == "key [redacted]"
    log, lines = logger(send(redact=None))
    log.info(key)
    assert lines[0]["event"] == key


def test_content_leaves_only_where_it_is_switched_on(sdk: LogRecorder) -> None:
    """Neither by a helper nor by a call of one's own."""
    log, lines = logger(send())
    log.info("asked", prompt=SECRET, deep={"completion": SECRET}, wrapped=[logs.Content(SECRET)])
    assert SECRET not in str(lines) + str(sdk.one())
    assert lines[0]["prompt"] == f"[withheld: {len(SECRET)} characters]"
    log, lines = logger(send(content=True))
    log.info("asked", prompt=SECRET, deep={"completion": SECRET}, wrapped=[logs.Content(SECRET)])
    assert (lines[0]["deep"], lines[0]["wrapped"]) == ({"completion": SECRET}, [SECRET])


def test_what_the_sending_thread_logs_is_not_sent(sdk: LogRecorder) -> None:
    """It would tell of itself without end."""
    sdk.sending = True
    log, lines = logger(send())
    log.warning("inferwatch drops events")
    assert len(lines) == 1
    assert sdk.events == []


def test_a_hook_that_logs_comes_to_an_end(sdk: LogRecorder) -> None:
    """What it logs is written and sent, to a depth."""
    log: Any = None

    def hook(event: dict[str, Any]) -> dict[str, Any]:
        log.info("redacting")
        return event

    log, lines = logger(send(redact=hook))
    log.info("said")
    assert [line["event"] for line in lines] == [
        UNREADABLE, *["redacting"] * (MOST_NESTED - 1), "said",
    ]  # fmt: skip
    assert len(sdk.events) == MOST_NESTED
    assert sdk.faults == [("logging", "A record was logged while one was made.")]


def test_a_class_that_cannot_be_named_costs_its_record_only(sdk: LogRecorder) -> None:
    """Nothing that a caller passes makes a log method raise."""

    class Meta(type):
        @property
        def __name__(cls) -> str:
            raise KeyError(SECRET)

    class Odd(metaclass=Meta):
        def __repr__(self) -> str:
            raise KeyError(SECRET)

    log, lines = logger(send())
    log.info("said", odd=Odd())
    assert lines == [{"level": "info", "event": UNREADABLE}]
    assert sdk.faults == [("making a log record", "KeyError was raised.")]
    log.info("next")
    assert lines[1]["event"] == "next"


def test_an_emission_that_fails_is_a_fault(
    sdk: LogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is written."""

    def refuse(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(sdk, "emit", refuse)
    log, lines = logger(send())
    log.info("said")
    assert len(lines) == 1
    assert sdk.faults == [("emitting a log record", "")]


def test_later_processors_do_not_change_what_is_sent(sdk: LogRecorder) -> None:
    """The record is made of it later, by another thread."""
    returned = send()(None, "info", {"event": "said", "a": 1})
    returned.clear()
    assert (sdk.one()["body"], sdk.one()["attributes"]) == ("said", {"a": "1"})


def test_a_record_is_as_large_as_its_texts(sdk: LogRecorder) -> None:
    """So that what waits for Kafka is bounded in bytes."""
    send()(None, "info", {"event": "x" * 5000, "more": ["y" * 1000] * 3})
    assert 8000 + RECORD_BYTES <= sdk.events[0][1] <= 10_000 + RECORD_BYTES


def test_it_works_in_a_formatter_of_logging(sdk: LogRecorder) -> None:
    """A ProcessorFormatter gives its records to processors, and takes them back."""
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            send(),
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ]
    )
    record = logging.LogRecord("lib", logging.WARNING, "f", 1, "said %d", (3,), None)
    record.created = 1_700_000_000.5
    assert '"logger": "lib", "event": "said 3"' in formatter.format(record)
    assert (sdk.one()["event_time"], sdk.one()["severity_number"]) == (1_700_000_000_500_000, 13)


def test_threads_log_at_once(sdk: LogRecorder) -> None:
    """Every record arrives once."""
    log, lines = logger(send())
    threads = [
        threading.Thread(target=lambda: [log.info("said", n=n) for n in range(200)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(lines), len(sdk.records())) == (800, 800)


def test_times_are_of_the_clock() -> None:
    """To the microsecond, in UTC."""
    line = Send(now=lambda: 1_000_000_001_000)(None, "info", {"event": ""})
    told = dt.datetime.fromisoformat(line["timestamp"])
    assert told == dt.datetime(1970, 1, 1, 0, 16, 40, 1, dt.UTC)
