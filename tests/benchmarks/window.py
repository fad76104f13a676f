"""What the contenders count in one window of one group: the measures of requests.v1."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

WINDOW_SECONDS = 10
MICROS = 1_000_000
# The bin of a duration of nothing, which has no logarithm.
ZERO_BIN = -32768


@dataclass
class Window:
    """Counts, sums and histograms of the requests of one window and group."""

    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd_micros: int = 0
    priced_requests: int = 0
    durations: int = 0
    duration_micros: int = 0
    duration_bins: Counter[int] = field(default_factory=Counter)
    first_tokens: int = 0
    first_token_micros: int = 0
    first_token_bins: Counter[int] = field(default_factory=Counter)

    def add(self, event: dict[str, Any]) -> None:
        """Count one request."""
        self.requests += 1
        if event["error_type"] is not None:
            self.errors[event["error_type"]] += 1
        self.input_tokens += event["gen_ai_usage_input_tokens"] or 0
        self.output_tokens += event["gen_ai_usage_output_tokens"] or 0
        self.cached_tokens += event["gen_ai_usage_cache_read_input_tokens"] or 0
        self.reasoning_tokens += event["gen_ai_usage_reasoning_output_tokens"] or 0
        if event["cost_usd_micros"] is not None:
            self.priced_requests += 1
            self.cost_usd_micros += event["cost_usd_micros"]
        duration, first = event["duration_seconds"], event["time_to_first_token_seconds"]
        if duration is not None:
            self.durations += 1
            self.duration_micros += round(duration * MICROS)
            self.duration_bins[bin_of(duration)] += 1
        if first is not None:
            self.first_tokens += 1
            self.first_token_micros += round(first * MICROS)
            self.first_token_bins[bin_of(first)] += 1


def bin_of(seconds: float) -> int:
    """Bin of an exponential histogram of 32 bins an octave, bounds above included."""
    return math.ceil(math.log2(seconds) * 32) - 1 if seconds else ZERO_BIN
