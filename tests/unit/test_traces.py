"""Trace readers: the facts of the public files, and what they say of malformed ones."""

import gzip
import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from math import erfc, sqrt
from pathlib import Path
from statistics import quantiles

import pytest

from inferwatch.traces import formats
from inferwatch.traces.errors import TraceError
from inferwatch.traces.events import TraceEvent, TraceOptions
from inferwatch.traces.rows import csv_rows, json_rows
from inferwatch_schemas.instants import micros
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder

DATA = Path(
    os.environ.get("INFERWATCH_PUBLIC_TRACES", Path(__file__).parents[2].parent / "shared" / "data")
)
HEADER = {"event_id": "e", "producer_id": "p", "sequence": 0}
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799699,4808,10\n"
PULSE = '{"timestamp": "82", "input_length": 3, "output_length": 1, "session_id": "s"}\n'
CALL = '{"first_chunk_time": 0.5, "total_chunk_time": 1.5, "in_len": 7, "record_time": 100.25}\n'
ENGINE = "timestamp,num_running,num_pending,gpu_kvcache_usage\n100.0,2,3,50.0\n"
MTBENCH = "tstamp,model,question_id,turn,score\n1705687844.7634939,m,86,1,8.5\n"
HILLSTROM = "segment,visit,conversion,spend\nMens E-Mail,1,1,29.99\nNo E-Mail,0,0,0.0\n"


def public(name: str) -> Path:
    """A file or folder of the public traces; skips the test where they are not."""
    path = DATA / name
    if not path.exists():
        pytest.skip(
            f"{name} is absent: set INFERWATCH_PUBLIC_TRACES to the folder of the public traces"
        )
    return path


def encodable(events: Iterator[TraceEvent]) -> list[TraceEvent]:
    """The events, each of which fits its schema."""
    encoders: dict[str, Encoder] = {}
    found = list(events)
    for event in found:
        encoder = encoders.setdefault(event.schema, Encoder(event.schema, PinnedRegistry()))
        assert encoder.encode(event.record | HEADER | {"event_time": event.event_time_micros})
    return found


def busiest_minute(events: list[TraceEvent]) -> tuple[str, int]:
    """The minute with the most events, and how many."""
    ((minute, count),) = Counter(e.event_time_micros // 60_000_000 for e in events).most_common(1)
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%H:%M"), count


@pytest.mark.parametrize(
    ("kind", "rows", "tokens_in", "tokens_out", "peak"),
    [
        ("code", 8_819, 18_059_974, 245_896, ("18:31", 585)),
        ("conv", 19_366, 22_361_870, 4_088_665, ("18:43", 502)),
    ],
)
def test_azure_facts(
    kind: str, rows: int, tokens_in: int, tokens_out: int, peak: tuple[str, int]
) -> None:
    """Rows, token sums and the busiest minute of each Azure trace are those published."""
    path = public(f"azure_llm_2023/AzureLLMInferenceTrace_{kind}.csv.gz")
    events = encodable(formats.events("azure_llm_2023", [path]))
    assert len(events) == rows
    assert sum(e.record["gen_ai_usage_input_tokens"] for e in events) == tokens_in
    assert sum(e.record["gen_ai_usage_output_tokens"] for e in events) == tokens_out
    assert busiest_minute(events) == peak
    assert {e.record["service_name"] for e in events} == {f"azure-llm-{kind}"}


def test_azure_files_are_merged_by_time() -> None:
    """Both files together come out as one stream in order of event time."""
    paths = sorted(public("azure_llm_2023").glob("*.csv.gz"))
    times = [e.event_time_micros for e in formats.events("azure_llm_2023", paths)]
    assert len(times) == 8_819 + 19_366
    assert times == sorted(times)


def test_ragpulse_facts() -> None:
    """Rows, tokens and sessions are those published, and the pair out of order is kept."""
    path = public("ragpulse/trace.jsonl.gz")
    events = encodable(formats.events("ragpulse", [path]))
    assert len(events) == 7_106
    assert sum(e.record["gen_ai_usage_input_tokens"] for e in events) == 20_917_099
    assert sum(e.record["gen_ai_usage_output_tokens"] for e in events) == 2_012_676
    assert len({e.record["session_id"] for e in events}) == 3_990
    times = [e.event_time_micros for e in events]
    assert sum(after < before for before, after in pairwise(times)) == 1


def test_vllm_facts() -> None:
    """All levels have 500 requests, with the first-token p95 published for two of them."""
    paths = sorted(public("vllm_burstgpt").glob("*load*"))
    events = encodable(formats.events("vllm_burstgpt", paths))
    requests = [e.record for e in events if e.schema == "request"]
    by_service: dict[str, list[float]] = {}
    for record in requests:
        times = by_service.setdefault(record["service_name"], [])
        times.append(record["time_to_first_token_seconds"])
    assert {name: len(times) for name, times in by_service.items()} == dict.fromkeys(
        (f"vllm-load{level:04d}" for level in (*range(100, 1001, 100), 1500, 2000)), 500
    )

    def p95(name: str) -> float:
        return quantiles(by_service[name], n=20, method="inclusive")[-1]

    assert p95("vllm-load0100") == pytest.approx(0.234, abs=0.0006)
    assert p95("vllm-load1000") == pytest.approx(60.8, abs=0.06)
    samples = [e.record for e in events if e.schema == "resource"]
    assert {s["host_name"] for s in samples} == set(by_service)
    gpu = next(s for s in samples if s["device"] == "GPU-0")
    assert (gpu["gpu_memory_used_bytes"], gpu["gpu_memory_total_bytes"]) == (
        22_533 * 2**20,
        24 * 2**30,
    )


def test_vllm_characters_are_not_tokens() -> None:
    """out_len is several times what the engine's own throughput adds up to, so it is left out."""
    folder = public("vllm_burstgpt")
    calls = list(formats.events("vllm_burstgpt", [folder / "requests_load0500.jsonl.gz"]))
    assert all("gen_ai_usage_output_tokens" not in e.record for e in calls)
    rows = list(json_rows(folder / "requests_load0500.jsonl.gz"))
    out_len = sum(row.whole("out_len") for row in rows)
    engine = list(
        csv_rows(folder / "engine_load0500.csv.gz", ("timestamp", "generation_throughput"))
    )
    tokens = sum(
        row.number("generation_throughput") * (after.number("timestamp") - row.number("timestamp"))
        for row, after in pairwise(engine)
    )
    assert 5 < out_len / tokens < 8


def two_sided_p(z: float) -> float:
    """p-value of a standard normal deviate."""
    return erfc(abs(z) / sqrt(2))


def test_hillstrom_facts() -> None:
    """Users and conversions of each arm are those published, and so are the z-tests on them."""
    path = public("hillstrom/hillstrom.csv.gz")
    events = encodable(formats.events("hillstrom", [path]))
    users = Counter(e.record["variant"] for e in events if e.schema == "exposure")
    assert users == {"Mens E-Mail": 21_307, "Womens E-Mail": 21_387, "No E-Mail": 21_306}
    did = Counter(
        (e.record["variant"], e.record["metric"]) for e in events if e.schema == "conversion"
    )
    bought = {variant: did[variant, "conversion"] for variant in users}
    assert bought == {"Mens E-Mail": 267, "Womens E-Mail": 189, "No E-Mail": 122}
    assert sum(did[variant, "spend"] for variant in users) == 578

    def z(variant: str, other: str = "No E-Mail") -> float:
        (a, n), (b, m) = ((bought[v], users[v]) for v in (variant, other))
        pooled = (a + b) / (n + m)
        return (a / n - b / m) / sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))

    assert z("Mens E-Mail") == pytest.approx(7.385, abs=0.001)
    assert z("Womens E-Mail") == pytest.approx(3.780, abs=0.001)
    assert two_sided_p(z("Womens E-Mail")) == pytest.approx(1.57e-4, rel=0.01)


def test_hillstrom_times_are_in_order_and_after_the_exposure() -> None:
    """Synthesised times ascend, no conversion precedes its exposure, and a rerun gives the same."""
    path = public("hillstrom/hillstrom.csv.gz")
    events = list(formats.events("hillstrom", [path]))
    times = [e.event_time_micros for e in events]
    assert times == sorted(times)
    seen: dict[str, int] = {}
    for event in events:
        if event.schema == "exposure":
            seen[event.record["user_id"]] = event.event_time_micros
        else:
            delay = event.event_time_micros - seen[event.record["user_id"]]
            assert 60_000_000 <= delay <= 5_400_000_000
    assert events == list(formats.events("hillstrom", [path]))


def test_mtbench_facts() -> None:
    """All judgments are there, and the four that failed have no score."""
    path = public("mtbench/gpt4_single_scores.csv.gz")
    events = encodable(formats.events("mtbench", [path]))
    assert len(events) == 1_610
    assert len({e.record["gen_ai_request_model"] for e in events}) == 10
    scores = [e.record["gen_ai_evaluation_score_value"] for e in events]
    assert (scores.count(None), scores.count(10.0), scores.count(9.5)) == (4, 506, 2)
    assert {
        e.record["error_type"] for e in events if e.record["gen_ai_evaluation_score_value"] is None
    } == {"judge_failed"}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Return what writes a file and says where."""

    def written(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


Write = Callable[[str, str | bytes], Path]


def test_azure_times_are_cut_off_to_microseconds(write: Write) -> None:
    """The seventh decimal is dropped, never rounded up, and the time is UTC."""
    (event,) = formats.events("azure_llm_2023", [write("code.csv", AZURE)])
    assert event.event_time_micros == micros(datetime(2023, 11, 16, 18, 17, 3, 979969, tzinfo=UTC))


def test_gzip_is_known_by_its_first_bytes(write: Write) -> None:
    """Packed and plain files give the same events, whatever they are called."""
    plain = list(formats.events("ragpulse", [write("trace.gz", PULSE)]))
    packed = list(formats.events("ragpulse", [write("trace", gzip.compress(PULSE.encode()))]))
    assert plain == packed
    assert plain


def test_mtbench_times_are_cut_off_to_microseconds(write: Write) -> None:
    """The seventh decimal is dropped, and -1 is no score but a judge that failed."""
    rows = MTBENCH + "1705687845,m,86,2,-1\n"
    first, second = formats.events("mtbench", [write("m.csv", rows)])
    assert first.event_time_micros == 1_705_687_844_763_493
    assert (first.record["question_id"], first.record["turn"]) == ("86", 1)
    assert first.record["gen_ai_evaluation_score_value"] == 8.5
    assert first.record["error_type"] is None
    assert second.record["gen_ai_evaluation_score_value"] is None
    assert second.record["error_type"] == "judge_failed"


def test_start_and_service_can_be_told(write: Write) -> None:
    """Options move a trace's clock and rename its service."""
    options = TraceOptions(datetime(2030, 1, 1, tzinfo=UTC), "mine")
    (event,) = formats.events("ragpulse", [write("t", PULSE)], options)
    assert event.event_time_micros == micros(datetime(2030, 1, 1, 0, 1, 22, tzinfo=UTC))
    assert event.record["service_name"] == "mine"


def test_vllm_kinds_are_told_by_content_and_share_a_clock(write: Write) -> None:
    """Requests and engine samples are known whatever their name, and merge on one clock."""
    files = [write("a_load0300", CALL), write("b_load0300", ENGINE)]
    engine, call = formats.events("vllm_burstgpt", files)
    assert (call.schema, engine.schema) == ("request", "resource")
    assert call.event_time_micros - engine.event_time_micros == 250_000
    assert call.record["service_name"] == engine.record["host_name"] == "vllm-load0300"
    assert call.record["duration_seconds"] == 1.5
    assert engine.record["kv_cache_utilization_ratio"] == 0.5
    assert (engine.record["queue_size"], engine.record["requests_running"]) == (3, 2)


def test_hillstrom_makes_an_event_of_all_that_a_user_did(write: Write) -> None:
    """A buyer has an exposure, a visit, a conversion and the spend; another only an exposure."""
    events = list(formats.events("hillstrom", [write("h.csv", HILLSTROM)]))
    assert [(e.record["user_id"], e.record.get("metric"), e.record.get("value")) for e in events] \
        == [("1", None, None), ("2", None, None), ("1", "visit", 1.0), ("1", "conversion", 1.0),
            ("1", "spend", 29.99)]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file", "content", "told"),
    [
        ("azure_llm_2023", "code", AZURE + "2023-11-16 18:17:04,1x,2\n",
         r"code, line 3: ContextTokens is '1x'; expected a whole number"),
        ("azure_llm_2023", "code", AZURE + "yesterday,1,2\n",
         r"line 3: TIMESTAMP is 'yesterday'; expected a time"),
        ("azure_llm_2023", "code", AZURE + "2023-11-16 18:17:04,1\n", r"line 3: 2 fields; .* 3"),
        ("azure_llm_2023", "code", "a,b\n1,2\n", r"line 1: no column 'TIMESTAMP'"),
        ("azure_llm_2023", "code", AZURE.splitlines()[0], r"a header and no rows"),
        ("azure_llm_2023", "other", AZURE, r"neither 'code' nor 'conv'.*--service"),
        ("ragpulse", "r", PULSE + "{\n", r"r, line 2: no JSON"),
        ("ragpulse", "r", "[1]\n", r"line 1: expected a JSON object"),
        ("ragpulse", "r", PULSE.replace("3", "-3"), r"line 1: input_length is -3; expected"),
        ("ragpulse", "r", PULSE.replace('"82"', '"nan"'), r"timestamp is 'nan'; expected a number"),
        ("ragpulse", "r", PULSE.replace('"s"', "null"), r"session_id is None; expected text"),
        ("ragpulse", "r", PULSE.replace("session_id", "x"), r"session_id is missing; expected"),
        ("ragpulse", "r", "", r"r is empty"),
        ("ragpulse", "r", b"\xff\xfe", r"r is not text in UTF-8"),
        ("ragpulse", "r", gzip.compress(PULSE.encode() * 99)[:-9], r"damaged or cut off gzip"),
        ("vllm_burstgpt", "load1", '{"a": 1}\n', r"line 1: neither requests"),
        ("vllm_burstgpt", "x", CALL, r"no level such as load0100 in its name"),
        ("vllm_burstgpt", "load1", ENGINE.replace("50.0", "150.0"), r"gpu_kvcache_usage is '150"),
        ("hillstrom", "h", HILLSTROM.replace("Mail,1,", "Mail,2,"), r"visit is '2'; expected 0 or"),
        ("mtbench", "m", MTBENCH + "1,m,1,1,-2\n", r"line 3: score is '-2'; expected a number of"),
        ("mtbench", "m", MTBENCH + "1,m,1,1,-.5\n", r"score is '-.5'; expected -1 or a number"),
        ("mtbench", "m", MTBENCH + "x,m,1,1,1\n", r"tstamp is 'x'; expected a number of at"),
        ("nope", "n", "x", r"no trace format 'nope'; known are azure_llm_2023, ragpulse, vllm_"),
    ],
)  # fmt: skip
def test_malformed_input_is_named(
    write: Write, name: str, file: str, content: str | bytes, told: str
) -> None:
    """Each kind of bad input is one sentence with file, line and field where it has them."""
    with pytest.raises(TraceError, match=told) as raised:
        list(formats.events(name, [write(file, content)]))
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_told_before_anything_is_read(tmp_path: Path) -> None:
    """Missing files and folders are refused when the stream is made, not when it is read."""
    with pytest.raises(TraceError, match=r"absent cannot be read: No such file"):
        formats.events("ragpulse", [tmp_path / "absent"])
    with pytest.raises(TraceError, match=r"cannot be read: Is a directory"):
        formats.events("ragpulse", [tmp_path])


@pytest.mark.parametrize(("name", "content"), [("azure_llm_2023", AZURE), ("mtbench", MTBENCH)])
def test_a_trace_with_times_of_its_own_refuses_another_start(
    write: Write, name: str, content: str
) -> None:
    """It is said, and which option to leave out."""
    options = TraceOptions(start=datetime(2030, 1, 1, tzinfo=UTC))
    with pytest.raises(TraceError, match=r"leave out --start"):
        list(formats.events(name, [write("code", content)], options))
