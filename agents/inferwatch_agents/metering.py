"""Counts calls and HTTP requests into the Prometheus metrics, in the thread that sends events."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from inferwatch_agents.controls.control import BLOCKED
from inferwatch_agents.metrics import ERROR_RATE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.calls import Call
    from inferwatch_agents.metrics import Metrics

# Distinct values of each label that come from callers; all others are counted under OTHER.
LABEL_VALUES: Final = 100
# So are longer ones, which would be in each scrape, many times.
LABEL_CHARACTERS: Final = 512
OTHER: Final = "_OTHER"
# HTTP status from which on the server failed.
SERVER_ERROR: Final = 500


class Bounded:
    """Lets the first so many distinct values through; any other, or too long, is ``_OTHER``."""

    def __init__(self, limit: int = LABEL_VALUES) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        """The value, or ``_OTHER``."""
        if value in self._known:
            return value
        if len(self._known) >= self._limit or len(value) > LABEL_CHARACTERS:
            return OTHER
        self._known.add(value)
        return value


class ErrorRate:
    """Share of failures in a window that slides second by second."""

    def __init__(self, seconds: int = ERROR_RATE_SECONDS) -> None:
        self._seconds = seconds
        self._buckets: deque[tuple[int, int, int]] = deque()
        self._requests = self._errors = 0

    def add(self, now: float, requests: int, errors: int) -> None:
        """Count what ended since the last time."""
        second = int(now)
        self._buckets.append((second, requests, errors))
        self._requests += requests
        self._errors += errors

    def share(self, now: float) -> float:
        """Failed share; 0 where nothing ended."""
        while self._buckets and self._buckets[0][0] <= int(now) - self._seconds:
            _, requests, errors = self._buckets.popleft()
            self._requests -= requests
            self._errors -= errors
        return self._errors / self._requests if self._requests else 0.0


class Answered(NamedTuple):
    """One HTTP request that ended.

    Attributes:
        method: HTTP method.
        endpoint: Route, a template without ids.
        status: HTTP status code.
    """

    method: str
    endpoint: str
    status: int


class Metering:
    """Belongs to one thread, because it takes the locks of ``prometheus_client``."""

    def __init__(self, metrics: Metrics, fault: Callable[[str, BaseException], None]) -> None:
        """Start.

        Args:
            metrics: Where it counts.
            fault: Told of a call that cannot be counted.
        """
        self._metrics = metrics
        self._fault = fault
        self._rate = ErrorRate()
        self._endpoints, self._models = Bounded(), Bounded()
        self._operations, self._providers = Bounded(), Bounded()
        self._errors, self._methods = Bounded(), Bounded()

    def count(
        self,
        calls: list[Call],
        answered: list[Answered],
        now: float,
        connections: int,
        waiting: int,
    ) -> None:
        """Count what ended since the last time, and set what is.

        Args:
            calls: Calls that ended.
            answered: HTTP requests that ended.
            now: Seconds of a monotonic clock.
            connections: HTTP requests in progress.
            waiting: Calls in progress.
        """
        requests = errors = 0
        for call in calls:
            # The request that a call was made in counts in its place.
            if not call.in_request:
                requests += 1
                errors += call.error_type is not None
            try:
                if not call.in_request:
                    self._request(call.method or "", call.endpoint, _status(call))
                self._call(call)
            except Exception as error:  # noqa: BLE001  # what a caller set may be of any type; the next call is sound
                self._fault("counting a call", error)
        for method, endpoint, status in answered:
            requests += 1
            errors += status >= SERVER_ERROR
            self._request(method, endpoint, str(status))
        if requests:
            self._rate.add(now, requests, errors)
        self._metrics.error_rate.set(self._rate.share(now))
        self._metrics.active_connections.set(connections)
        self._metrics.queue_size.set(waiting)

    def scored(self, model: str, accuracy: float) -> None:
        """An evaluation measured a model's accuracy, from 0 to 1."""
        self._metrics.model_accuracy.labels(self._models(model)).set(accuracy)

    def _request(self, method: str, endpoint: str, status: str) -> None:
        self._metrics.requests.labels(
            self._methods(method), self._endpoints(endpoint), status
        ).inc()

    def _call(self, call: Call) -> None:
        metrics = self._metrics
        model = self._models(call.model or call.response_model or "")
        operation = self._operations(call.operation)
        provider = self._providers(call.provider or "")
        error = self._errors(call.error_type) if call.error_type else ""
        blocked = call.error_type in BLOCKED
        if blocked:
            metrics.calls_blocked.labels(model, call.error_type).inc()
        if call.duration_seconds is not None:
            if not blocked:
                metrics.duration.labels(self._endpoints(call.endpoint), model).observe(
                    call.duration_seconds
                )
            metrics.operation_duration.labels(operation, provider, model, error).observe(
                call.duration_seconds
            )
        if call.time_to_first_token_seconds is not None and not blocked:
            metrics.first_token.labels(operation, provider, model).observe(
                call.time_to_first_token_seconds
            )
        if model:
            metrics.model_info.labels(model, provider).set(1)
        for kind, tokens in (("input", call.input_tokens), ("output", call.output_tokens)):
            if tokens is not None:
                metrics.tokens.labels(model, operation).inc(tokens)
                metrics.token_usage.labels(operation, provider, model, kind).observe(tokens)


def _status(call: Call) -> str:
    if call.status_code is not None:
        return str(call.status_code)
    return "ok" if call.error_type is None else "error"
