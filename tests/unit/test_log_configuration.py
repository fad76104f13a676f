"""One call sets up structlog and logging; lines survive broken streams, signals and forks."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from log_recorder import LogRecorder

from inferwatch_agents import ConfigurationError, call, logs, process
from inferwatch_agents.logs.configuration import SERVERS
from inferwatch_agents.logs.content import Content
from inferwatch_agents.logs.output import Output

# All that a library may do wrong or right, before and after a fork, as a program of its own.
FORKING = """
import os, sys, threading, structlog
from inferwatch_agents import logs

logs.configure()
log = structlog.get_logger()
stop = threading.Event()

def crowd():
    while not stop.is_set():
        log.info("crowd", text="x" * 2000)

threads = [threading.Thread(target=crowd) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(30):
    child = os.fork()
    if child == 0:
        log.info("child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
"""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    loggers = [logging.getLogger(), *map(logging.getLogger, SERVERS)]
    before = [(logger, logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield
    structlog.reset_defaults()
    for logger, level, propagate, handlers in before:
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> LogRecorder:
    """Return what stands for a running SDK."""
    recorder = LogRecorder()
    monkeypatch.setattr(process, "_active", recorder)
    return recorder


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """What was written, a record a line."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_records_of_structlog_and_logging_arrive_alike(sdk: LogRecorder) -> None:
    """With the same fields, above the same level."""
    stream = io.StringIO()
    logs.configure(stream=stream, level="warning")
    with structlog.contextvars.bound_contextvars(job="nightly"):
        structlog.get_logger("app").warning("said", a=1)
        structlog.get_logger("app").info("passed over")
    library = logging.getLogger("some.library")
    library.warning("retry %d of %d", 1, 3, extra={"url": "http://h"})
    library.info("passed over")
    for line in lines(stream):
        assert line.pop("timestamp").endswith("Z")
    assert [{**line, "timestamp": ""} for line in lines(stream)] == [
        {"timestamp": "", "level": "warning", "logger": "app", "event": "said", "a": 1,
         "job": "nightly"},
        {"timestamp": "", "level": "warning", "logger": "some.library", "event": "retry 1 of 3",
         "url": "http://h"},
    ]  # fmt: skip
    assert [record["body"] for record in sdk.records()] == ["said", "retry 1 of 3"]
    assert sdk.records()[1]["otel_scope_name"] == "some.library"
    assert sdk.faults == []


def test_it_replaces_consoles_and_leaves_other_handlers(tmp_path: Path) -> None:
    """Each record is one line; called again, it is not written twice."""
    kept = logging.FileHandler(tmp_path / "log", delay=True)
    access = logging.getLogger("uvicorn.access")
    access.propagate = False
    access.addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))
    logging.getLogger().addHandler(kept)
    logs.configure(stream=io.StringIO())
    stream = io.StringIO()
    logs.configure(stream=stream)
    access.info('%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "GET", "/", "1.1", 200)
    assert [line["event"] for line in lines(stream)] == ['1.2.3.4:5 - "GET / HTTP/1.1" 200']
    assert access.handlers == []
    assert kept in logging.getLogger().handlers
    assert (tmp_path / "log").read_text().count("GET") == 1
    kept.close()


def test_libraries_may_be_left_alone() -> None:
    """Then logging is as it was."""
    before = list(logging.getLogger().handlers)
    logs.configure(stream=io.StringIO(), libraries=False)
    assert logging.getLogger().handlers == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"level": "loud"}, "level is 'loud'; it must be one of debug, info"),
        ({"level": 20}, "level is 20; it must be one of"),
        ({"redact": "all"}, "redact is 'all'; it must be a function or None"),
        ({"stream": "stdout"}, "stream is 'stdout'; it must be a file"),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments: dict[str, Any], said: str) -> None:
    """At the start, and nothing was changed."""
    with pytest.raises(ConfigurationError, match=said):
        logs.configure(**arguments)
    assert not structlog.is_configured()


@pytest.mark.parametrize(
    ("number", "severity"),
    [(0, None), (1, 1), (5, 1), (9, 1), (10, 5), (15, 8), (20, 9), (21, 10), (30, 13), (40, 17),
     (50, 21), (52, 23), (60, 24), (1000, 24)],
)  # fmt: skip
def test_levels_of_logging_are_severities(
    sdk: LogRecorder, number: int, severity: int | None
) -> None:
    """Ten levels are one severity in four steps."""
    record = logging.LogRecord("lib", number, "f", 1, "said", None, None)
    record.levelname = "OWN"
    logs.Handler().handle(record)
    assert (sdk.one()["severity_number"], sdk.one()["severity_text"]) == (severity, "own")


def test_odd_records_of_logging_are_told(sdk: LogRecorder) -> None:
    """A format that does not fit, a message that is no text, fields that are ours."""
    library = logging.getLogger("odd")
    library.propagate = False
    library.addHandler(logs.Handler())
    try:
        library.error("%d tokens", "no")
        library.error({"prompt": "hello"})
        library.error("said %s", Content("hello"), extra={"event": 1, "level": 2, "_record": 3})
        library.error(None)
        library.error("said", exc_info=(ValueError, ValueError("x"), None), stack_info=True)
    finally:
        library.handlers.clear()
        library.propagate = True
    found = sdk.records()
    assert [record["body"] for record in found] == [
        '["%d tokens", ["no"]]',
        '{"prompt": "[withheld: 5 characters]"}',
        "said [withheld: 5 characters]",
        "",
        "said",
    ]
    assert found[4]["exception_type"] == "ValueError"
    assert "test_odd_records" in found[4]["attributes"]["stack"]
    assert sdk.faults == []


def test_structlog_through_logging_arrives_as_it_is(sdk: LogRecorder) -> None:
    """Its fields are fields, and not the text of a dictionary."""
    library = logging.getLogger("through")
    library.propagate = False
    library.addHandler(logs.Handler())
    log = structlog.wrap_logger(
        library,
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    try:
        log.warning("said", model="m")
    finally:
        library.handlers.clear()
        library.propagate = True
    record = sdk.one()
    assert (record["body"], record["severity_number"]) == ("said", 13)
    assert (record["otel_scope_name"], record["attributes"]) == ("through", {"model": "m"})


def test_the_four_kinds_have_their_fields(sdk: LogRecorder) -> None:
    """Under OpenTelemetry's names; what is not given is the monitored call's, or absent."""
    logs.configure(stream=io.StringIO())
    answer = {
        "model": "m-1", "choices": [{"finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3,
                  "prompt_tokens_details": {"cached_tokens": 2}},
    }  # fmt: skip
    with call(model="m", provider="openai", endpoint="/chat"):
        logs.request(prompt="hi", system="be", temperature=0.5, max_tokens=9, own=1)
        logs.response(answer, completion=[{"content": "four"}], duration_seconds=1.5)
        logs.error(TimeoutError("late"), status_code=504)
        logs.request(model="other")
        logs.model_performance(model="other", accuracy=0.9, samples=100)
    asked, answered, failed, other, measured = sdk.records()
    assert (asked["event_name"], asked["severity_number"]) == ("inferwatch.request", 9)
    names = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m", "endpoint": "/chat",
    }  # fmt: skip
    assert asked["attributes"] == names | {
        "gen_ai.request.temperature": "0.5", "gen_ai.request.max_tokens": "9", "own": "1",
        "gen_ai.input.messages": "[withheld: 2 characters]",
        "gen_ai.system_instructions": "[withheld: 2 characters]",
    }  # fmt: skip
    assert answered["event_name"] == "inferwatch.response"
    assert answered["attributes"] == names | {
        "gen_ai.response.model": "m-1", "gen_ai.response.finish_reasons": '["stop"]',
        "gen_ai.usage.input_tokens": "5", "gen_ai.usage.output_tokens": "3",
        "gen_ai.usage.cache_read.input_tokens": "2", "duration_seconds": "1.5",
        "gen_ai.output.messages": "[withheld: 4 characters]",
    }  # fmt: skip
    assert (failed["event_name"], failed["severity_number"]) == ("inferwatch.error", 17)
    assert (failed["error_type"], failed["exception_message"]) == ("TimeoutError", "late")
    assert failed["attributes"] == names | {"http.response.status_code": "504"}
    assert other["attributes"] == {"gen_ai.request.model": "other"}
    assert measured["event_name"] == "inferwatch.model_performance"
    assert measured["attributes"] == {
        "gen_ai.request.model": "other", "accuracy": "0.9", "samples": "100",
    }  # fmt: skip
    assert sdk.faults == []


def test_helpers_never_raise(sdk: LogRecorder) -> None:
    """Whatever they are given, and whatever the chain of the service does."""

    class Odd:
        def __getattr__(self, _: str) -> Any:
            raise OSError

    def broken(*_: Any) -> Any:
        raise ValueError("secret")

    logs.configure(stream=io.StringIO())
    logs.response(Odd())
    logs.error("no answer", event=1)
    structlog.configure(processors=[broken], cache_logger_on_first_use=False)
    logs.request(self=1)
    assert [record["event_name"] for record in sdk.records()] == ["inferwatch.response"]
    assert [where for where, _ in sdk.faults] == ["reading a response", "logging", "logging"]
    assert "secret" not in str(sdk.faults)


def test_without_configure_a_prompt_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Also structlog as it comes shows its length only."""
    logs.request(prompt="hello", model="m")
    assert "[withheld: 5 characters]" in capsys.readouterr().out


def test_a_stream_that_fails_is_a_fault(sdk: LogRecorder, tmp_path: Path) -> None:
    """The record is sent all the same."""
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        logs.configure(stream=stream, libraries=False)
    structlog.get_logger().info("closed")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        logs.configure(stream=pipe, libraries=False)
        structlog.get_logger().info("broken")
    assert [record["body"] for record in sdk.records()] == ["closed", "broken"]
    assert [where for where, _ in sdk.faults] == ["writing a log line"] * 2


def test_what_fails_without_the_sdk_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """On the standard error, because nobody counts."""
    assert process.active() is None
    stream = io.StringIO()
    stream.close()
    for _ in range(3):
        Output(stream).write("line")
    assert capsys.readouterr().err == (
        "inferwatch failed; the service is not affected: writing a log line: "
        "I/O operation on closed file\n"
    )


def test_a_signal_handler_may_log_while_a_line_is_written() -> None:
    """The lock is its thread's own, so it does not wait for itself."""

    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            if "outer" in text:
                signal.raise_signal(signal.SIGUSR1)
            return super().write(text)

    stream = Interrupted()
    logs.configure(stream=stream)
    log = structlog.get_logger()
    before = signal.signal(signal.SIGUSR1, lambda *_: log.info("inner"))
    try:
        log.info("outer")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [line["event"] for line in lines(stream)] == ["inner", "outer"]


def test_lines_of_threads_do_not_mix() -> None:
    """Nor through a pipe that is full, where the system takes a line in parts."""
    reading, writing = os.pipe()
    found: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading, "rb") as pipe:
            found.extend(pipe)

    reader = threading.Thread(target=read)
    with os.fdopen(writing, "w") as pipe:
        output = Output(pipe)
        writers = [
            threading.Thread(target=lambda: [output.write("x" * 50_000) for _ in range(20)])
            for _ in range(3)
        ]
        for thread in (*writers, reader):
            thread.start()
        for thread in writers:
            thread.join()
    reader.join()
    assert found == [b"x" * 50_000 + b"\n"] * 60


def test_a_line_that_is_written_in_part_does_not_spoil_the_next(sdk: LogRecorder) -> None:
    """As where nobody reads from a pipe that must not block."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(reading, "rb", buffering=0) as read, os.fdopen(writing, "w") as pipe:
        output = Output(pipe)
        output.write("x" * 1_000_000)
        part = read.read(1_000_000)
        output.write("next")
        output.write("last")
        assert read.read(100) == b"\nnext\nlast\n"
    assert set(part) == {ord("x")}
    assert [where for where, _ in sdk.faults] == ["writing a log line"]


def test_forks_while_threads_log_end_and_write_whole_lines() -> None:
    """No child inherits a lock that nobody opens, or a half of a line."""
    done = subprocess.run(  # noqa: S603  # our own program, no shell
        [sys.executable, "-c", FORKING], capture_output=True, timeout=60, check=True
    )
    told = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert told.count("child") == 30
    assert set(told) == {"child", "crowd"}
