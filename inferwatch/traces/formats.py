"""The trace formats by name, and reading several files of one as a single stream."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inferwatch.traces import azure_llm_2023, hillstrom, mtbench, ragpulse, vllm_burstgpt
from inferwatch.traces.errors import TraceError
from inferwatch.traces.events import TraceEvent, TraceOptions
from inferwatch.traces.rows import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Format:
    """One trace format.

    Attributes:
        name: As on the command line.
        about: One sentence for the help.
        read: Events of one file.
    """

    name: str
    about: str
    read: Callable[[Path, TraceOptions], Iterator[TraceEvent]]


FORMATS: Final = (
    Format("azure_llm_2023", "Azure LLM arrivals and tokens, services code and conv.",
           azure_llm_2023.read),
    Format("ragpulse", "RAGPulse requests, tokens and sessions.", ragpulse.read),
    Format("vllm_burstgpt", "A vLLM server under load: requests, GPU and engine samples.",
           vllm_burstgpt.read),
    Format("hillstrom", "Hillstrom's e-mail experiment; times of single events are synthesised.",
           hillstrom.read),
    Format("mtbench", "GPT-4's scores of ten models' answers to MT-bench.", mtbench.read),
)  # fmt: skip
BY_NAME: Final = {format_.name: format_ for format_ in FORMATS}


def events(
    name: str, paths: Sequence[Path], options: TraceOptions | None = None
) -> Iterator[TraceEvent]:
    """Events of several files of one format, merged by event time.

    Each file's own order is kept, so that what is out of order in it stays so.

    Args:
        name: Name of the format.
        paths: Files, plain or gzip.
        options: The format's own when None.

    Raises:
        TraceError: At once for an unknown format and for a file that cannot be read; while
            iterating for malformed rows.
    """
    if name not in BY_NAME:
        raise TraceError(f"There is no trace format {name!r}; known are {', '.join(BY_NAME)}.")
    for path in paths:
        if not first_line(path):
            raise TraceError(f"{path} is empty.")
    read = BY_NAME[name].read
    chosen = options or TraceOptions()
    return heapq.merge(
        *(read(path, chosen) for path in paths), key=lambda event: event.event_time_micros
    )
