"""One vLLM server under several load levels: its requests, its GPU and its engine.

Source: BurstGPT's example logs. A level has three files, told apart by what they contain:

- requests (JSON lines): in_len, first_chunk_time and total_chunk_time in seconds, record_time,
  when the call had ended. out_len is not used: over a level it is six times the tokens that the
  engine's own generation throughput adds up to, so it counts characters; output tokens are null.
- GPU samples (JSON lines): memory in MiB, utilisation in percent, temperature in Celsius.
- engine samples (CSV): running and pending requests, KV-cache use in percent.

All their times are seconds of one monotonic clock. The level, the end of the file's name such as
load0100, becomes part of the service's and the host's name: vllm-load0100.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from inferwatch.traces.errors import TraceError
from inferwatch.traces.events import ENVIRONMENT, TraceEvent, TraceOptions
from inferwatch.traces.rows import Row, csv_rows, first_line, json_rows
from inferwatch_schemas.instants import micros

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# When the monotonic clock read zero: chosen, as the trace has no time of day. The levels then
# fall on 2024-06-17 and 2024-06-18.
START: Final = datetime(2024, 1, 1, tzinfo=UTC)
PROVIDER: Final = "vllm"
GPU: Final = "GPU-0"
MIB: Final = 1024 * 1024
LEVEL: Final = re.compile(r"load\d+")
ENGINE_COLUMNS: Final = ("timestamp", "num_running", "num_pending", "gpu_kvcache_usage")


def read(path: Path, options: TraceOptions) -> Iterator[TraceEvent]:
    """Requests or resource samples of one file, in its order.

    Raises:
        TraceError: The file is none of the three kinds, or neither name nor options tell the level.
    """
    name = options.service or _name(path)
    start = micros(options.start or START)
    for row, clock, event in _rows(path):
        at = start + round(row.number(clock) * 1_000_000)
        schema, record = event(row, name)
        yield TraceEvent(schema, at, record)


def _rows(
    path: Path,
) -> Iterator[tuple[Row, str, Callable[[Row, str], tuple[str, dict[str, Any]]]]]:
    head = first_line(path)
    if '"first_chunk_time"' in head:
        yield from ((row, "record_time", _request) for row in json_rows(path))
    elif '"GPU_utilization"' in head:
        yield from ((row, "record_time", _gpu) for row in json_rows(path))
    elif "num_pending" in head:
        yield from ((row, "timestamp", _engine) for row in csv_rows(path, ENGINE_COLUMNS))
    elif not head:
        raise TraceError(f"{path} is empty.")
    else:
        raise TraceError(
            f"{path}, line 1: neither requests (first_chunk_time), GPU samples (GPU_utilization) "
            "nor engine samples (num_pending)."
        )


def _request(row: Row, service: str) -> tuple[str, dict[str, Any]]:
    return "request", {
        "service_name": service,
        "deployment_environment_name": ENVIRONMENT,
        "gen_ai_operation_name": "text_completion",
        "gen_ai_provider_name": PROVIDER,
        "endpoint": "",
        "duration_seconds": row.number("total_chunk_time"),
        "time_to_first_token_seconds": row.number("first_chunk_time"),
        "gen_ai_usage_input_tokens": row.whole("in_len"),
    }


def _gpu(row: Row, host: str) -> tuple[str, dict[str, Any]]:
    return "resource", {
        "host_name": host,
        "device": GPU,
        "gpu_utilization_ratio": _ratio(row, "GPU_utilization"),
        "gpu_memory_used_bytes": row.whole("GPU_used_mem") * MIB,
        "gpu_memory_total_bytes": row.whole("GPU_total_mem") * MIB,
        "gpu_temperature_celsius": row.number("GPU_temperature", minimum=-273.15),
    }


def _engine(row: Row, host: str) -> tuple[str, dict[str, Any]]:
    return "resource", {
        "host_name": host,
        "device": "host",
        "queue_size": row.number("num_pending"),
        "requests_running": row.number("num_running"),
        "kv_cache_utilization_ratio": _ratio(row, "gpu_kvcache_usage"),
    }


def _ratio(row: Row, field: str) -> float:
    percent = row.number(field)
    if percent > 100:  # noqa: PLR2004  # per cent
        raise row.error(field, "a percentage of at most 100")
    return percent / 100


def _name(path: Path) -> str:
    found = LEVEL.search(path.name)
    if found is None:
        raise TraceError(
            f"{path} has no level such as load0100 in its name; name the service with --service."
        )
    return f"vllm-{found[0]}"
