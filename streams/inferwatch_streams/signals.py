"""The signals: what is counted, from which topic, by which dimensions.

A signal is a row of this table; the machinery that counts is written once (``blocks/``). The
dimensions, measures, window and block length belong to the version in a signal's name: a change of
any of them is a new version, because rows of two versions must never mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from inferwatch_schemas.topics import CONVERSIONS, EVALUATIONS, EXPOSURES, REQUESTS, RESOURCES

if TYPE_CHECKING:
    from inferwatch_schemas.topics import Topic

MICROS: Final = 1_000_000
#: Offsets in a block (docs/decisions/0001).
BLOCK_LENGTH: Final = 65_536
#: Length of a window in seconds: the shortest that a rule may look at.
WINDOW_SECONDS: Final = 10
#: Texts that a row of a tally names, and bytes of the longest: so that a row is sure to fit its
#: topic (docs/decisions/0016).
MAX_NAMES: Final = 100
MAX_NAME_BYTES: Final = 256
#: What all others count as: OpenTelemetry's fallback for ``error.type``.
OTHER: Final = "_OTHER"


class Kind(Enum):
    """How values become one number, or several, that merge by addition, minimum or maximum."""

    COUNT = "events"
    COUNT_VALID = "events in which the field is not null"
    SUM = "sum of an integer field, or how often a boolean one is true"
    SUM_MICROS = "sum of a float field, each value rounded to millionths"
    DECIMAL_SUM = "as SUM or SUM_MICROS, exact beyond 64 bits"
    SUM_OF_SQUARES = "sum of the squares of values in millionths, exact"
    MINIMUM = "least value"
    MAXIMUM = "greatest value"
    MINIMUM_OR_NULL = "least value, null where there is none"
    MAXIMUM_OR_NULL = "greatest value, null where there is none"
    HISTOGRAM = "exponential histogram of a float field"
    TALLY = "events by each text the field takes, up to so many of them, and of the others"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of a signal.

    Attributes:
        kind: How values are combined.
        name: Field of the aggregate row; for a histogram or tally, the labels.
        field: Field of the event; for an unpivoted signal empty, which means the metric's own.
        counts: For a histogram or tally, the row's field of counts.
    """

    kind: Kind
    name: str
    field: str = ""
    counts: str = ""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension: field of the aggregate row, and field of the event; null counts as empty."""

    name: str
    field: str


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal.

    Attributes:
        name: Name and version.
        topic: Source topic.
        schema: Schema of its events.
        row: Schema of its aggregate rows.
        dimensions: What rows are told apart by, besides window and block.
        measures: What is counted.
        unpivot: Fields that become one row each, with their name as the dimension ``metric``.
    """

    name: str
    topic: Topic
    schema: str
    row: str
    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]
    unpivot: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """Event fields to read as columns."""
        read = ["event_time", *(d.field for d in self.dimensions), *self.unpivot]
        read += [measure.field for measure in self.measures if measure.field]
        return tuple(dict.fromkeys(read))


REQUEST_SIGNAL: Final = Signal(
    "requests.v1",
    REQUESTS,
    "request",
    "request_aggregate",
    dimensions=(
        Dimension("service", "service_name"),
        Dimension("environment", "deployment_environment_name"),
        Dimension("provider", "gen_ai_provider_name"),
        Dimension("model", "gen_ai_request_model"),
        Dimension("endpoint", "endpoint"),
    ),
    measures=(
        Measure(Kind.COUNT, "requests"),
        Measure(Kind.COUNT_VALID, "errors", "error_type"),
        Measure(Kind.TALLY, "error_types", "error_type", counts="error_type_counts"),
        Measure(Kind.SUM, "input_tokens", "gen_ai_usage_input_tokens"),
        Measure(Kind.SUM, "output_tokens", "gen_ai_usage_output_tokens"),
        Measure(Kind.SUM, "cached_tokens", "gen_ai_usage_cache_read_input_tokens"),
        Measure(Kind.SUM, "reasoning_tokens", "gen_ai_usage_reasoning_output_tokens"),
        Measure(Kind.SUM, "cost_usd_micros", "cost_usd_micros"),
        Measure(Kind.COUNT_VALID, "priced_requests", "cost_usd_micros"),
        Measure(Kind.COUNT_VALID, "durations", "duration_seconds"),
        Measure(Kind.SUM_MICROS, "duration_micros", "duration_seconds"),
        Measure(Kind.HISTOGRAM, "duration_bin_indexes", "duration_seconds", "duration_bin_counts"),
        Measure(Kind.COUNT_VALID, "first_tokens", "time_to_first_token_seconds"),
        Measure(Kind.SUM_MICROS, "first_token_micros", "time_to_first_token_seconds"),
        Measure(
            Kind.HISTOGRAM,
            "first_token_bin_indexes",
            "time_to_first_token_seconds",
            "first_token_bin_counts",
        ),
    ),
)

RESOURCE_METRICS: Final = (
    "cpu_utilization_ratio",
    "load_average_1m",
    "memory_used_bytes",
    "memory_total_bytes",
    "disk_used_bytes",
    "disk_total_bytes",
    "disk_read_bytes_per_second",
    "disk_write_bytes_per_second",
    "network_receive_bytes_per_second",
    "network_transmit_bytes_per_second",
    "gpu_utilization_ratio",
    "gpu_memory_used_bytes",
    "gpu_memory_total_bytes",
    "gpu_power_watts",
    "gpu_energy_joules",
    "gpu_temperature_celsius",
    "gpu_sm_clock_hertz",
    "gpu_memory_clock_hertz",
    "gpu_throttled_ratio",
    "gpu_ecc_uncorrected_errors",
    "gpu_pcie_receive_bytes_per_second",
    "gpu_pcie_transmit_bytes_per_second",
    "gpu_nvlink_bytes_per_second",
    "queue_size",
    "requests_running",
    "kv_cache_utilization_ratio",
    "active_connections",
)

RESOURCE_SIGNAL: Final = Signal(
    "resources.v1",
    RESOURCES,
    "resource",
    "resource_aggregate",
    dimensions=(Dimension("host", "host_name"), Dimension("device", "device")),
    measures=(
        Measure(Kind.COUNT_VALID, "samples"),
        Measure(Kind.DECIMAL_SUM, "value_sum"),
        Measure(Kind.MINIMUM, "value_min"),
        Measure(Kind.MAXIMUM, "value_max"),
    ),
    unpivot=RESOURCE_METRICS,
)

EXPOSURE_SIGNAL: Final = Signal(
    "exposures.v1",
    EXPOSURES,
    "exposure",
    "exposure_aggregate",
    dimensions=(Dimension("experiment", "experiment"), Dimension("variant", "variant")),
    measures=(Measure(Kind.COUNT, "exposures"),),
)

CONVERSION_SIGNAL: Final = Signal(
    "conversions.v1",
    CONVERSIONS,
    "conversion",
    "conversion_aggregate",
    dimensions=(
        Dimension("experiment", "experiment"),
        Dimension("variant", "variant"),
        Dimension("metric", "metric"),
    ),
    measures=(
        Measure(Kind.COUNT, "conversions"),
        Measure(Kind.DECIMAL_SUM, "value_sum", "value"),
        Measure(Kind.SUM_OF_SQUARES, "value_sum_of_squares", "value"),
    ),
)

EVALUATION_SIGNAL: Final = Signal(
    "evaluations.v1",
    EVALUATIONS,
    "evaluation",
    "evaluation_aggregate",
    dimensions=(
        Dimension("service", "service_name"),
        Dimension("environment", "deployment_environment_name"),
        Dimension("model", "gen_ai_request_model"),
        Dimension("metric", "gen_ai_evaluation_name"),
        Dimension("kind", "kind"),
    ),
    measures=(
        Measure(Kind.COUNT, "evaluations"),
        Measure(Kind.COUNT_VALID, "errors", "error_type"),
        Measure(Kind.COUNT_VALID, "scored", "gen_ai_evaluation_score_value"),
        Measure(Kind.SUM_MICROS, "score_micros", "gen_ai_evaluation_score_value"),
        Measure(Kind.SUM_OF_SQUARES, "score_sum_of_squares", "gen_ai_evaluation_score_value"),
        Measure(Kind.MINIMUM_OR_NULL, "score_min", "gen_ai_evaluation_score_value"),
        Measure(Kind.MAXIMUM_OR_NULL, "score_max", "gen_ai_evaluation_score_value"),
        Measure(Kind.COUNT_VALID, "judged", "passed"),
        Measure(Kind.SUM, "passed", "passed"),
        Measure(Kind.COUNT_VALID, "durations", "duration_seconds"),
        Measure(Kind.SUM_MICROS, "duration_micros", "duration_seconds"),
        Measure(Kind.HISTOGRAM, "duration_bin_indexes", "duration_seconds", "duration_bin_counts"),
    ),
)

SIGNALS: Final = (
    REQUEST_SIGNAL,
    RESOURCE_SIGNAL,
    EXPOSURE_SIGNAL,
    CONVERSION_SIGNAL,
    EVALUATION_SIGNAL,
)
