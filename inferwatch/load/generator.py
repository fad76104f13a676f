"""The generated load: calls, users, experiment and outages as one stream of events."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

from inferwatch.load.arrivals import ArrivalSettings, arrivals
from inferwatch.load.calls import Call, CallSettings, Desk
from inferwatch.load.experiment import Experiment
from inferwatch.load.models import SERVICES, Service
from inferwatch.traces.events import TraceEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MICROS: Final = 1_000_000
ENVIRONMENT: Final = "production"


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something in the load that a person should be told of when its time comes.

    Attributes:
        time_micros: When, in microseconds since 1970 (UTC).
        text: One line.
    """

    time_micros: int
    text: str


@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """What is generated, and how much of it.

    Attributes:
        rate: Calls a second in the long run, all services together.
        users: How many users there are; some are far more active than others.
        session_seconds: Silence after which a user's next call is another session.
        first_outage_seconds: When the first outage begins, after the start.
        outage_every_seconds: Time from the beginning of an outage to the next.
        outage_seconds: How long one lasts; 0 for none.
        late_ratio: Share of events that are published late.
        late_seconds: Mean delay of those, exponential.
        usual_delay_seconds: Mean delay of the others, exponential.
        services: Who calls.
        arrivals: How the rate moves.
        calls: How calls go.
        experiment: The A/B experiment.
    """

    rate: float = 50.0
    users: int = 20_000
    session_seconds: float = 1800.0
    first_outage_seconds: float = 60.0
    outage_every_seconds: float = 300.0
    outage_seconds: float = 30.0
    late_ratio: float = 0.01
    late_seconds: float = 3.0
    usual_delay_seconds: float = 0.02
    services: tuple[Service, ...] = SERVICES
    arrivals: ArrivalSettings = field(default_factory=ArrivalSettings)
    calls: CallSettings = field(default_factory=CallSettings)
    experiment: Experiment = field(default_factory=Experiment)


class Generator:
    """Realistic load: the same settings, seed and start give the same stream."""

    def __init__(self, settings: GeneratorSettings | None = None, seed: int = 1) -> None:
        """Prepare.

        Args:
            settings: Defaults when None.
            seed: Of all chance in the stream.
        """
        self._settings = settings or GeneratorSettings()
        self._seed = seed

    def events(self, start_micros: int) -> Iterator[TraceEvent | Announcement]:
        """The stream, without end.

        It is in the order in which events would reach Kafka: by event time plus a small delay, a
        long one for a few. Announcements stand at their time.

        Args:
            start_micros: When calls begin to arrive, in microseconds since 1970 (UTC).
        """
        return _Stream(self._settings, self._seed, start_micros).run()


def announced(
    events: Iterator[TraceEvent | Announcement], announce: Callable[[Announcement], None]
) -> Iterator[TraceEvent]:
    """The events alone; each announcement goes to ``announce`` when its turn comes."""
    for event in events:
        if isinstance(event, Announcement):
            announce(event)
        else:
            yield event


class _Stream:
    """One run of a generator; times inside are seconds since the run's start."""

    def __init__(self, settings: GeneratorSettings, seed: int, start_micros: int) -> None:
        self._settings = settings
        self._start_micros = start_micros
        self._random = Random(seed)  # noqa: S311  # for chance, not for secrets
        self._desks = [
            Desk(service, settings.rate * service.share, settings.calls)
            for service in settings.services
        ]
        self._due: list[tuple[float, int, TraceEvent | Announcement]] = []
        self._pushed = 0
        self._sessions: dict[str, tuple[str, float]] = {}
        self._exposed: set[str] = set()

    def run(self) -> Iterator[TraceEvent | Announcement]:
        outages = self._outages()
        outage = next(outages)
        for at, desk in self._arrivals():
            while outage[0] <= at:
                self._announce(*outage)
                outage = next(outages)
            while self._due and self._due[0][0] <= at:
                yield heapq.heappop(self._due)[2]
            self._call(at, desk)

    def _arrivals(self) -> Iterator[tuple[float, Desk]]:
        """Arrivals of all services, merged."""
        start = self._start_micros / MICROS

        def of(desk: Desk) -> Iterator[tuple[float, Desk]]:
            # A source of its own, or the order of drawing would depend on the merge.
            random = Random(self._random.getrandbits(64))  # noqa: S311  # as above
            for at in arrivals(desk.rate, start, random, self._settings.arrivals):
                yield at - start, desk

        streams = [of(desk) for desk in self._desks]
        return heapq.merge(*streams, key=lambda arrival: arrival[0])

    def _outages(self) -> Iterator[tuple[float, Desk]]:
        """When each outage begins, and whose."""
        at = self._settings.first_outage_seconds
        if not self._settings.outage_seconds:
            at = float("inf")
        while True:
            yield at, self._random.choice(self._desks)
            at += self._settings.outage_every_seconds

    def _announce(self, at: float, desk: Desk) -> None:
        length = self._settings.outage_seconds
        desk.down_until = at + length
        name = desk.service.name
        for time, text in (
            (at, f"outage begins: {name}, {length:g} s"),
            (at + length, f"outage ends: {name}"),
        ):
            self._push(time, Announcement(self._micros(time), text))

    def _call(self, at: float, desk: Desk) -> None:
        settings = self._settings
        # Squared, so that few users make most calls.
        user = f"u{int(settings.users * self._random.random() ** 2):06d}"
        call = desk.call(at, self._random)
        trace_id = f"{self._random.getrandbits(128) | 1:032x}"
        experiment = settings.experiment
        variants = []
        if desk.service.name == experiment.service:
            arm = experiment.arm(user)
            variants = [{"experiment": experiment.name, "variant": experiment.variants[arm]}]
            if user not in self._exposed:
                self._exposed.add(user)
                self._expose(at, user, arm, trace_id)
        record = _record(desk.service, call) | {
            "user_id": user,
            "session_id": self._session(user, at),
            "experiments": variants,
            "trace_id": trace_id,
            "span_id": f"{self._random.getrandbits(64) | 1:016x}",
        }
        self._emit("request", at + call.duration, record)

    def _expose(self, at: float, user: str, arm: int, trace_id: str) -> None:
        experiment = self._settings.experiment
        unit = {
            "service_name": experiment.service,
            "deployment_environment_name": ENVIRONMENT,
            "experiment": experiment.name,
            "variant": experiment.variants[arm],
            "user_id": user,
        }
        self._emit("exposure", at, unit | {"trace_id": trace_id})
        for outcome in experiment.outcomes(arm, self._random):
            did = unit | {"metric": outcome.metric, "value": outcome.value}
            self._emit("conversion", at + outcome.delay_seconds, did)

    def _session(self, user: str, at: float) -> str:
        session, last = self._sessions.get(user, ("", float("-inf")))
        if at - last > self._settings.session_seconds:
            session = f"s{self._random.getrandbits(64):016x}"
        self._sessions[user] = (session, at)
        return session

    def _emit(self, schema: str, at: float, record: dict[str, Any]) -> None:
        settings = self._settings
        late = self._random.random() < settings.late_ratio
        mean = settings.late_seconds if late else settings.usual_delay_seconds
        event = TraceEvent(schema, self._micros(at), record)
        self._push(at + self._random.expovariate(1 / mean), event)

    def _push(self, at: float, event: TraceEvent | Announcement) -> None:
        self._pushed += 1
        heapq.heappush(self._due, (at, self._pushed, event))

    def _micros(self, at: float) -> int:
        return self._start_micros + round(at * MICROS)


def _record(service: Service, call: Call) -> dict[str, Any]:
    """The part of a request's record that does not depend on the user."""
    return {
        "service_name": service.name,
        "deployment_environment_name": ENVIRONMENT,
        "gen_ai_operation_name": service.operation,
        "gen_ai_provider_name": call.model.provider,
        "gen_ai_request_model": call.model.name,
        "gen_ai_response_model": None if call.error_type else call.model.release,
        "endpoint": service.endpoint,
        "http_request_method": "POST",
        "http_response_status_code": call.status_code,
        "error_type": call.error_type,
        "duration_seconds": call.duration,
        "time_to_first_token_seconds": call.first_token,
        "gen_ai_usage_input_tokens": call.input_tokens,
        "gen_ai_usage_output_tokens": call.output_tokens,
        "gen_ai_usage_cache_read_input_tokens": call.cached_tokens,
        "gen_ai_usage_reasoning_output_tokens": call.reasoning_tokens,
        "cost_usd_micros": call.cost_usd_micros,
    }
