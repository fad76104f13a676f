"""What rules measure: one table from the name that people use to a function of totals.

Values that have no events to be made of are NaN, and no condition holds for them; rates are 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.rules.measure import EVENTS, Floats, Measure, ratio
from inferwatch_streams.signals import RESOURCE_METRICS
from inferwatch_streams.statistics.change import quantiles
from inferwatch_streams.windows.reading import Bins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_streams.windows.reading import Totals

MICROS: Final = 1e-6
#: Metrics that only grow, until their driver is loaded again.
COUNTERS: Final = ("gpu_energy_joules", "gpu_ecc_uncorrected_errors")


def field_of(name: str) -> Callable[[Totals], Floats]:
    """The function that takes a field of totals."""
    return lambda totals: totals.measures[name]


def _rate(  # noqa: PLR0913, PLR0917  # a row of the table has so many columns
    name: str, signal: str, field: str, unit: str, seconds: float, about: str, scale: float = 1.0
) -> Measure:
    def value(totals: Totals, length: float) -> Floats:
        return totals.measures[field] * (scale * seconds / length)

    events = EVENTS[signal]
    return Measure(
        name=name, signal=signal, unit=unit, about=about, value=value, samples=field_of(events),
        fields=tuple(dict.fromkeys((field, events))), grows=True,
    )  # fmt: skip


def _mean(  # noqa: PLR0913, PLR0917  # a row of the table has so many columns
    name: str, signal: str, sums: str, count: str, unit: str, about: str, scale: float = 1.0
) -> Measure:
    def value(totals: Totals, _: float) -> Floats:
        return ratio(totals.measures[sums] * scale, totals.measures[count])

    return Measure(
        name=name, signal=signal, unit=unit, about=about, value=value, samples=field_of(count),
        fields=(sums, count),
    )  # fmt: skip


def _share(  # noqa: PLR0913, PLR0917  # a row of the table has so many columns
    name: str,
    signal: str,
    part: Callable[[Totals], Floats],
    whole: Callable[[Totals], Floats],
    fields: tuple[str, ...],
    about: str,
    where: tuple[Matcher, ...] = (),
) -> Measure:
    def value(totals: Totals, _: float) -> Floats:
        return ratio(part(totals), whole(totals))

    def distribution(totals: Totals) -> Bins:
        ones, all_ = part(totals).astype(np.int64), whole(totals).astype(np.int64)
        return Bins(np.stack([all_ - ones, ones], axis=1), np.array([0.0, 1.0]))

    return Measure(
        name=name, signal=signal, unit="ratio", about=about, value=value, samples=whole,
        fields=fields, where=where, distribution=distribution,
    )  # fmt: skip


def _count(name: str, signal: str, about: str) -> Measure:
    return Measure(
        name=name, signal=signal, unit="number", about=about, fields=(EVENTS[signal],),
        value=lambda totals, _: totals.measures[EVENTS[signal]], samples=field_of(EVENTS[signal]),
        grows=True,
    )  # fmt: skip


def _quantiles(prefix: str, signal: str, field: str, count: str, of: str) -> list[Measure]:
    def one(q: float) -> Measure:
        return Measure(
            name=f"{prefix}_p{round(q * 100)}",
            signal=signal,
            unit="seconds",
            about=f"The {round(q * 100)}th percentile of the {of}, within 1.1 %.",
            fields=(field, count),
            value=lambda totals, _: quantiles(
                totals.histograms[field].counts, totals.histograms[field].values, q
            ),
            samples=field_of(count),
            distribution=lambda totals: totals.histograms[field],
            quantile=q,
        )

    return [one(q) for q in (0.5, 0.9, 0.95, 0.99)]


def _resources() -> list[Measure]:
    found = []
    for metric in RESOURCE_METRICS:
        unit = _unit_of(metric)
        where = (Matcher("metric", "=", metric),)
        mean = _mean("", "resources", "value_sum", "samples", unit, "")
        rows: list[tuple[str, str, str, Callable[[Totals, float], Floats]]] = [
            ("avg", "Mean of the samples of {}.", "value_sum", mean.value),
            ("max", "Greatest sample of {}.", "value_max", lambda t, _: t.measures["value_max"]),
            ("min", "Least sample of {}.", "value_min", lambda t, _: t.measures["value_min"]),
        ]
        found += [
            Measure(
                name=f"{name}({metric})", signal="resources", unit=unit, where=where,
                about=about.format(metric), fields=(field, "samples"), value=value,
                samples=field_of("samples"),
            )
            for name, about, field, value in rows
        ]  # fmt: skip
        if metric in COUNTERS:
            found.append(
                Measure(
                    name=f"increase({metric})", signal="resources", unit=unit, where=where,
                    about=f"Greatest less least sample of {metric}, which only grows.",
                    fields=("value_max", "value_min", "samples"), samples=field_of("samples"),
                    value=lambda t, _: t.measures["value_max"] - t.measures["value_min"],
                )
            )  # fmt: skip
    found += [
        Measure(
            name=f"{what}_used_ratio", signal="resources", unit="ratio",
            where=(Matcher("metric", "=", f"{what}_used_bytes"),),
            about=f"Mean of {what}_used_bytes over mean of {what}_total_bytes.",
            fields=("value_sum", "samples"), samples=field_of("samples"),
            value=_mean("", "resources", "value_sum", "samples", "ratio", "").value,
            over=f"avg({what}_total_bytes)",
        )
        for what in ("memory", "disk", "gpu_memory")
    ]  # fmt: skip
    return found


def _unit_of(metric: str) -> str:
    endings = {
        "_bytes_per_second": "bytes_per_second",
        "_ratio": "ratio",
        "_bytes": "bytes",
        "_celsius": "celsius",
    }
    return next((unit for ending, unit in endings.items() if metric.endswith(ending)), "number")


def _blocked(totals: Totals) -> Floats:
    """Calls that were not made because we had said so: they tell nothing of the service."""
    return totals.measures[BLOCKED[0]] + totals.measures[BLOCKED[1]]


def _failed(totals: Totals) -> Floats:
    return totals.measures["errors"] - _blocked(totals)


def _made(totals: Totals) -> Floats:
    return totals.measures["requests"] - _blocked(totals)


BLOCKED: Final = ("error_types:circuit_open", "error_types:load_shed")
"""Error types of calls that a control stopped (docs/controls.md)."""
_ACCURACY: Final = (Matcher("metric", "=", "accuracy"),)
_FEEDBACK: Final = (Matcher("kind", "=", "user_feedback"),)
_JUDGED: Final = (field_of("passed"), field_of("judged"), ("passed", "judged"))

_TABLE: Final = (
    _share(
        "error_rate", "requests", _failed, _made, ("requests", "errors", *BLOCKED),
        "Share of calls that failed, without those that a control stopped.",
    ),
    *_quantiles("latency", "requests", "duration_bin_counts", "durations", "duration"),
    _mean(
        "latency_mean", "requests", "duration_micros", "durations", "seconds",
        "Mean duration.", MICROS,
    ),
    *_quantiles(
        "first_token", "requests", "first_token_bin_counts", "first_tokens", "time to first token"
    ),
    _mean(
        "first_token_mean", "requests", "first_token_micros", "first_tokens", "seconds",
        "Mean time to first token.", MICROS,
    ),
    _rate("request_rate", "requests", "requests", "per_second", 1, "Calls a second."),
    _rate(
        "input_tokens_per_minute", "requests", "input_tokens", "per_minute", 60,
        "Tokens that were sent to models.",
    ),
    _rate(
        "output_tokens_per_minute", "requests", "output_tokens", "per_minute", 60,
        "Tokens that models wrote.",
    ),
    _rate(
        "cost_usd_per_hour", "requests", "cost_usd_micros", "usd_per_hour", 3600,
        "What the calls that have a price cost.", MICROS,
    ),
    _mean(
        "cost_usd_per_request", "requests", "cost_usd_micros", "priced_requests", "usd",
        "Mean cost of a call that has a price.", MICROS,
    ),
    _mean(
        "output_tokens_per_request", "requests", "output_tokens", "requests", "number",
        "Mean length of answers.",
    ),
    _mean(
        "quality_score", "evaluations", "score_micros", "scored", "number",
        "Mean score of evaluations, of all kinds and metrics unless `where` says which.", MICROS,
    ),
    _share("pass_rate", "evaluations", *_JUDGED, "Share of judged evaluations that passed."),
    _share(
        "accuracy", "evaluations", *_JUDGED,
        "Share of right answers: passed of judged, of the metric accuracy.", _ACCURACY,
    ),
    _share(
        "positive_feedback", "evaluations", *_JUDGED,
        "Share of users' verdicts that are good.", _FEEDBACK,
    ),
    _share(
        "evaluation_error_rate", "evaluations", field_of("errors"), field_of("evaluations"),
        ("errors", "evaluations"), "Share of evaluations without a score, as something failed.",
    ),
    *_quantiles(
        "evaluation_latency", "evaluations", "duration_bin_counts", "durations",
        "duration of evaluated calls",
    ),
    _count("exposures", "exposures", "Exposures in the window."),
    _count("conversions", "conversions", "Conversions in the window."),
    replace(
        _count("conversions", "conversions", "Conversions over exposures, by events, not users."),
        name="conversion_rate", unit="ratio", over="exposures", grows=False,
    ),
    _mean(
        "conversion_value", "conversions", "value_sum", "conversions", "number",
        "Mean value of a conversion.",
    ),
    *_resources(),
)  # fmt: skip
_EVENTS: Final = {signal: _count(f"events of {signal}", signal, "") for signal in EVENTS}
MEASURES: Final[Mapping[str, Measure]] = {measure.name: measure for measure in _TABLE}
"""All measures by name."""


def events(signal: str) -> Measure:
    """The measure that counts the events of a signal."""
    return _EVENTS[signal]
