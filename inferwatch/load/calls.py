"""How one call goes: how long it takes in company, what it uses, and how it fails.

A call that runs alone takes a lognormal time. In company it is slowed by a factor ``1 + n / c``,
where n is the number of the service's calls in flight when it arrives, and c their number at which
the time doubles. By Little's law the mean time is then that of a processor-sharing queue,
``E[alone] / (1 - load)`` with ``load = rate * E[alone] / c`` (Kleinrock, "Queueing Systems", vol.
2, on processor sharing). c is chosen so that the load has its set value at the mean rate; bursts
and the time of day drive it up, and beyond a limit calls are refused.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inferwatch.load.models import Model
from inferwatch_agents.prices import cost_of
from inferwatch_agents.usage import Usage

if TYPE_CHECKING:
    from random import Random

    from inferwatch.load.models import Service

RATE_LIMIT: Final = ("rate_limit_exceeded", 429)
TIMEOUT: Final = ("timeout", 504)
# OpenTelemetry error.type of an HTTP answer is its status code as text; weights behind.
FAILURES: Final = ((("500", 500), ("503", 503), ("502", 502)), (5, 3, 2))
OUTAGE: Final = ("503", 503)
INPUT_SIGMA: Final = 0.8
TOKEN_SIGMA: Final = 0.15
CACHE_BLOCK: Final = 128


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How calls go in all services.

    Attributes:
        load: Share of a service's capacity in use at its mean rate, below 1.
        limit: Calls in flight, in multiples of c, beyond which a call is refused.
        timeout_seconds: When the caller gives up.
        outage_failure_ratio: Share of calls that fail during an outage.
    """

    load: float = 0.5
    limit: float = 6.0
    timeout_seconds: float = 60.0
    outage_failure_ratio: float = 0.9


@dataclass(frozen=True, slots=True)
class Call:
    """One finished call; fields as in the ``request`` schema."""

    model: Model
    duration: float
    first_token: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd_micros: int | None = None
    error_type: str | None = None
    status_code: int = 200


class Desk:
    """One service at work: knows its calls in flight.

    Attributes:
        service: The service.
        rate: Its mean arrivals a second.
        down_until: End of its outage, in the seconds of ``call``.
    """

    def __init__(self, service: Service, rate: float, settings: CallSettings) -> None:
        """Size the capacity so that the load is as set at the mean rate."""
        self.service = service
        self.rate = rate
        self.down_until = float("-inf")
        self._settings = settings
        mean_alone = service.median_seconds * math.exp(service.sigma**2 / 2)
        self._doubling = rate * mean_alone / settings.load
        self._models = [model for model, _ in service.models]
        self._weights = [weight for _, weight in service.models]
        self._ends: list[float] = []

    def call(self, at: float, random: Random) -> Call:
        """The call that arrives at a time in seconds; times must not go back."""
        while self._ends and self._ends[0] <= at:
            heapq.heappop(self._ends)
        call = self._made(at, random)
        heapq.heappush(self._ends, at + call.duration)
        return call

    def _made(self, at: float, random: Random) -> Call:
        service, settings = self.service, self._settings
        (model,) = random.choices(self._models, self._weights)
        # A tiny service has room for a few calls all the same.
        if len(self._ends) > max(settings.limit * self._doubling, 4):
            return _failed(model, random.uniform(0.01, 0.05), RATE_LIMIT)
        alone = random.lognormvariate(math.log(service.median_seconds), service.sigma)
        duration = alone * (1 + len(self._ends) / self._doubling)
        if at < self.down_until and random.random() < settings.outage_failure_ratio:
            return _failed(model, random.uniform(0.02, 0.5), OUTAGE)
        if duration > settings.timeout_seconds:
            return _failed(model, settings.timeout_seconds, TIMEOUT)
        if random.random() < model.failure_ratio:
            (failure,) = random.choices(*FAILURES)
            return _failed(model, duration * random.random(), failure)
        return _answered(service, model, alone, duration, random)


def _failed(model: Model, duration: float, failure: tuple[str, int]) -> Call:
    # What a failed call used is not told: tokens and cost stay null.
    error_type, status_code = failure
    return Call(model, duration, error_type=error_type, status_code=status_code)


def _answered(
    service: Service, model: Model, alone: float, duration: float, random: Random
) -> Call:
    tokens = max(
        1, round(random.lognormvariate(math.log(service.median_input_tokens), INPUT_SIGMA))
    )
    cached = 0
    if random.random() < service.cache_ratio:
        cached = int(tokens * random.uniform(0.2, 0.9)) // CACHE_BLOCK * CACHE_BLOCK
    if service.operation == "embeddings":
        cost = _cost(model, Usage(tokens))
        return Call(model, duration, input_tokens=tokens, cost_usd_micros=cost)
    share = random.betavariate(2, 10)
    speed = model.tokens_per_second * random.lognormvariate(0, TOKEN_SIGMA)
    # The work does not grow with the company, so the tokens follow the time alone.
    output = max(1, round(alone * (1 - share) * speed))
    return Call(
        model,
        duration,
        first_token=duration * share,
        input_tokens=tokens,
        output_tokens=output,
        cached_tokens=cached,
        reasoning_tokens=int(output * random.uniform(0.3, 0.8)) if model.reasons else None,
        cost_usd_micros=_cost(model, Usage(tokens, output, cached)),
    )


def _cost(model: Model, used: Usage) -> int | None:
    return None if model.price is None else cost_of(model.price, used)
