"""The generated load: each law it states, tested so that another law would fail.

All chance is seeded, so a result is the same in every run; tolerances are several standard errors
wide, and what a wrong law would give lies outside of them.
"""

import math
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import islice, pairwise, takewhile
from random import Random
from statistics import NormalDist, fmean, median, pstdev, variance
from typing import Any

import pytest

from inferwatch.load.arrivals import ArrivalSettings, arrivals
from inferwatch.load.calls import Call, CallSettings, Desk
from inferwatch.load.experiment import Experiment
from inferwatch.load.generator import Announcement, Generator, GeneratorSettings, announced
from inferwatch.load.models import GPT, GPT_MINI, LLAMA, SERVICES, Service
from inferwatch.traces.events import TraceEvent
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import Encoder

START = 1_760_000_000_000_000
HEADER = {"event_id": "e", "producer_id": "p", "sequence": 0}
STEADY = ArrivalSettings(day_amplitude=0.0, burst_factor=1.0)
PLAIN = Service("plain", "/plain", 1.0, ((GPT, 1.0),), 2.0, 0.5, 1000)


def seeded(seed: int) -> Random:
    """A source of chance that is the same in every run."""
    return Random(seed)  # noqa: S311  # for chance, not for secrets


def drawn(settings: ArrivalSettings, rate: float, seconds: float, seed: int = 5) -> list[float]:
    """Arrivals of some seconds from midnight."""
    return list(takewhile(lambda at: at < seconds, arrivals(rate, 0.0, seeded(seed), settings)))


def stream(count: int, **settings: Any) -> list[TraceEvent | Announcement]:
    """The first events of a generator."""
    return list(islice(Generator(GeneratorSettings(**settings), seed=7).events(START), count))


def events_of(schema: str, found: list[TraceEvent | Announcement]) -> list[TraceEvent]:
    """Those of one schema."""
    return [e for e in found if isinstance(e, TraceEvent) and e.schema == schema]


def ks_distance(values: list[float], law: NormalDist) -> float:
    """Kolmogorov-Smirnov distance of a sample from a normal distribution."""
    n = len(values)
    return max(
        max((i + 1) / n - law.cdf(value), law.cdf(value) - i / n)
        for i, value in enumerate(sorted(values))
    )


def test_steady_arrivals_are_poisson() -> None:
    """Without day and bursts, counts a second have mean and variance of the rate."""
    found = drawn(STEADY, 20, 5_000)
    counts = Counter(int(at) for at in found)
    seconds = [counts[second] for second in range(5_000)]
    assert fmean(seconds) == pytest.approx(20, rel=0.015)
    assert variance(seconds) == pytest.approx(20, rel=0.08)


def test_bursts_keep_the_mean_and_widen_the_spread() -> None:
    """With bursts the long-run rate is the same, and seconds vary far more than Poisson's."""
    settings = replace(STEADY, burst_factor=4.0)
    found = drawn(settings, 20, 20_000)
    counts = Counter(int(at) for at in found)
    seconds = [counts[second] for second in range(20_000)]
    assert fmean(seconds) == pytest.approx(20, rel=0.06)
    # Law of total variance: the rate's mean plus the variance of the rate itself.
    p, low = settings.burst_share, 20 * settings.calm_level
    expected = 20 + p * (1 - p) * (3 * low) ** 2
    assert variance(seconds) == pytest.approx(expected, rel=0.15)


def test_the_day_moves_the_rate_as_a_cosine() -> None:
    """Hours of the day have the share of arrivals that the cosine gives them."""
    settings = replace(STEADY, day_amplitude=0.6, day_seconds=2400.0, peak_seconds=1500.0)
    found = drawn(settings, 100, 24_000)
    hours = Counter(int(at % 2400 // 100) for at in found)
    for hour in range(24):
        expected = 100_000 * fmean(settings.daily(hour * 100 + second) for second in range(100))
        assert hours[hour] == pytest.approx(expected, abs=5 * math.sqrt(expected))


def calls(service: Service, rate: float, settings: CallSettings, seconds: float) -> list[Call]:
    """Calls of one service at steady arrivals."""
    desk, random = Desk(service, rate, settings), seeded(11)
    return [desk.call(at, random) for at in drawn(STEADY, rate, seconds)]


def test_a_call_alone_takes_a_lognormal_time() -> None:
    """At hardly any load, logarithms of durations are normal with the service's parameters."""
    found = calls(PLAIN, 5, CallSettings(load=1e-6), 2_000)
    logs = [math.log(call.duration) for call in found if call.error_type is None]
    law = NormalDist(math.log(PLAIN.median_seconds), PLAIN.sigma)
    # 1.63 / sqrt(n) is the 1 % point of the Kolmogorov-Smirnov statistic.
    assert ks_distance(logs, law) < 1.63 / math.sqrt(len(logs))


@pytest.mark.parametrize("load", [0.2, 0.5, 0.7])
def test_latency_rises_with_load_as_in_processor_sharing(load: float) -> None:
    """The mean duration is that of a call alone, divided by what the load leaves over."""
    service = replace(PLAIN, models=((replace(GPT, failure_ratio=0.0), 1.0),))
    settings = CallSettings(load=load, timeout_seconds=1e9, limit=1e9)
    found = calls(service, 50, settings, 600)[2_000:]
    alone = service.median_seconds * math.exp(service.sigma**2 / 2)
    assert fmean(call.duration for call in found) == pytest.approx(alone / (1 - load), rel=0.06)


def test_overload_is_refused_with_429_and_slow_calls_time_out() -> None:
    """Beyond the limit calls are refused fast, and none lasts longer than the timeout."""
    found = calls(PLAIN, 50, CallSettings(load=2.0, timeout_seconds=20), 120)
    refused = [c for c in found if c.error_type == "rate_limit_exceeded"]
    expired = [c for c in found if c.error_type == "timeout"]
    assert len(refused) > 100
    assert {c.status_code for c in refused} == {429}
    assert max(c.duration for c in refused) <= 0.05
    assert {(c.status_code, c.duration) for c in expired} == {(504, 20)}
    assert max(c.duration for c in found) == 20


def test_failures_have_the_models_share_and_no_usage() -> None:
    """The share of failed calls is the model's, and what they used is null, not 0."""
    service = replace(PLAIN, models=((replace(GPT, failure_ratio=0.05), 1.0),))
    found = calls(service, 20, CallSettings(load=0.01), 1_000)
    failed = [call for call in found if call.error_type]
    spread = math.sqrt(0.05 * 0.95 / len(found))
    assert len(failed) / len(found) == pytest.approx(0.05, abs=4 * spread)
    assert {(c.error_type, c.status_code) for c in failed} == {
        (str(status), status) for status in (500, 502, 503)
    }
    assert {(c.first_token, c.input_tokens, c.cost_usd_micros) for c in failed} == {
        (None, None, None)
    }


def test_tokens_follow_the_time_of_the_call() -> None:
    """Output tokens over the time after the first token have the model's speed as median."""
    found = [c for c in calls(PLAIN, 5, CallSettings(load=1e-6), 1_000) if not c.error_type]
    speeds = [(c.output_tokens or 0) / (c.duration - (c.first_token or 0)) for c in found]
    assert median(speeds) == pytest.approx(GPT.tokens_per_second, rel=0.02)
    assert pstdev(math.log(speed) for speed in speeds) == pytest.approx(0.15, abs=0.02)
    # Mean of a beta distribution of 2 and 10.
    shares = fmean((c.first_token or 0) / c.duration for c in found)
    assert shares == pytest.approx(2 / 12, rel=0.04)


def test_every_event_fits_its_schema_and_says_what_its_service_is() -> None:
    """All events are encodable; self-hosted models have no cost, embeddings no output."""
    found = stream(5_000)
    encoders = {name: Encoder(name, PinnedRegistry()) for name in
                ("request", "exposure", "conversion")}  # fmt: skip
    for event in found:
        if isinstance(event, TraceEvent):
            record = event.record | HEADER | {"event_time": event.event_time_micros}
            assert encoders[event.schema].encode(record)
    requests = [event.record for event in events_of("request", found)]
    assert {record["service_name"] for record in requests} == {s.name for s in SERVICES}
    good = [record for record in requests if record["error_type"] is None]
    priced = {record["gen_ai_request_model"]: record["cost_usd_micros"] for record in good}
    assert priced[LLAMA.name] is None
    assert priced[GPT_MINI.name] is not None
    for record in good:
        embeds = record["gen_ai_operation_name"] == "embeddings"
        assert (record["gen_ai_usage_output_tokens"] is None) == embeds
        cached = record["gen_ai_usage_cache_read_input_tokens"] or 0
        assert cached <= record["gen_ai_usage_input_tokens"]
    assert any(record["gen_ai_usage_reasoning_output_tokens"] for record in good)
    assert len({record["trace_id"] for record in requests}) == len(requests)


def test_the_same_seed_gives_the_same_stream_and_another_does_not() -> None:
    """A stream depends on settings, seed and start alone."""
    assert stream(2_000) == stream(2_000)
    other = islice(Generator(GeneratorSettings(), seed=8).events(START), 2_000)
    assert stream(2_000) != list(other)


def test_the_rate_is_the_mean_of_all_services() -> None:
    """Calls a second come out as set, over a whole number of short days."""
    day = replace(STEADY, day_seconds=60.0, day_amplitude=0.4)
    found = stream(22_000, rate=100.0, arrivals=day, outage_seconds=0.0)
    ended = START + 120_000_000
    calls_in_time = sum(
        event.event_time_micros - round(event.record["duration_seconds"] * 1e6) < ended
        for event in events_of("request", found)
    )
    assert calls_in_time == pytest.approx(12_000, abs=5 * math.sqrt(12_000))


def test_a_few_events_are_late_and_most_are_hardly_so() -> None:
    """In the order of arrival at Kafka, the set share of events is far behind, the rest is not."""
    found = stream(20_000, late_ratio=0.05, late_seconds=3.0, outage_seconds=0.0, rate=200.0)
    newest, behind = 0, []
    for event in found:
        assert isinstance(event, TraceEvent)
        newest = max(newest, event.event_time_micros)
        behind.append((newest - event.event_time_micros) / 1e6)
    # A late event is over 1 s behind with probability exp(-1/3); any other never is.
    late = sum(seconds > 1 for seconds in behind) / len(behind)
    assert late == pytest.approx(0.05 * math.exp(-1 / 3), rel=0.15)
    assert median(behind) < 0.2


def test_an_outage_is_announced_and_fails_its_service_alone() -> None:
    """Between the two announcements nine calls in ten of that service fail, others as usual."""
    found = stream(9_000, first_outage_seconds=20.0, outage_seconds=15.0, rate=200.0,
                   late_ratio=0.0)  # fmt: skip
    begin, end = [event for event in found if isinstance(event, Announcement)][:2]
    assert begin.time_micros - START == 20_000_000
    assert end.time_micros - START == 35_000_000
    name = begin.text.removeprefix("outage begins: ").removesuffix(", 15 s")
    assert end.text == f"outage ends: {name}"
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for event in events_of("request", found):
        arrived = event.event_time_micros - event.record["duration_seconds"] * 1e6
        if begin.time_micros <= arrived < end.time_micros:
            record = event.record
            outcomes[record["service_name"]].append(record["error_type"] == "503")
    assert fmean(outcomes.pop(name)) == pytest.approx(0.9, abs=0.08)
    assert all(fmean(failed) < 0.05 for failed in outcomes.values())
    place = found.index(begin)
    before = [e for e in found[:place] if isinstance(e, TraceEvent)]
    assert max(e.event_time_micros for e in before) <= begin.time_micros


def test_the_experiment_has_its_true_effect() -> None:
    """Arms are equal in size; thumbs up differ as stated, purchases do not."""
    experiment, random = Experiment(), seeded(3)
    users = [f"u{number:06d}" for number in range(40_000)]
    arms = Counter(experiment.arm(user) for user in users)
    assert arms[0] == pytest.approx(20_000, abs=4 * 100)
    ratios: dict[tuple[str, int], float] = Counter()
    for user in users:
        arm = experiment.arm(user)
        for outcome in experiment.outcomes(arm, random):
            ratios[outcome.metric, arm] += 1 / arms[arm]
    error = math.sqrt(2 * 0.12 * 0.88 / 20_000)
    effect = ratios["thumbs_up", 1] - ratios["thumbs_up", 0]
    assert effect == pytest.approx(0.04, abs=4 * error)
    assert effect > 4 * error
    null = ratios["purchase_usd", 1] - ratios["purchase_usd", 0]
    assert null == pytest.approx(0, abs=4 * math.sqrt(2 * 0.04 * 0.96 / 20_000))


def test_a_user_is_exposed_once_and_keeps_the_variant() -> None:
    """Every user of the service has one exposure, before it converts, in the arm of its calls."""
    found = stream(15_000, users=500, rate=200.0)
    exposed = {e.record["user_id"]: e for e in events_of("exposure", found)}
    assert len(exposed) == len(events_of("exposure", found))
    conversions = events_of("conversion", found)
    assert len(conversions) > 20
    for event in conversions:
        exposure = exposed[event.record["user_id"]]
        assert event.record["variant"] == exposure.record["variant"]
        assert event.event_time_micros >= exposure.event_time_micros
    for event in events_of("request", found):
        for taken in event.record["experiments"]:
            assert taken["variant"] == exposed[event.record["user_id"]].record["variant"]


def test_a_session_ends_with_silence() -> None:
    """A user's calls share a session until a pause longer than the limit."""
    found = stream(4_000, users=40, session_seconds=5.0, late_ratio=0.0, rate=20.0)
    by_user: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for event in events_of("request", found):
        began = event.event_time_micros / 1e6 - event.record["duration_seconds"]
        by_user[event.record["user_id"]].append((began, event.record["session_id"]))
    kept = changed = 0
    for calls_of_user in by_user.values():
        # The end of the stream lacks calls that were still in flight.
        whole = [call for call in sorted(calls_of_user) if call[0] < START / 1e6 + 60]
        for (before, session), (after, following) in pairwise(whole):
            assert (session != following) == (after - before > 5.0)
            kept, changed = kept + (session == following), changed + (session != following)
    assert min(kept, changed) > 50


def test_announcements_go_where_they_are_wanted() -> None:
    """The stream without announcements is the rest, in the same order."""
    found = stream(5_000, first_outage_seconds=5.0)
    told: list[Announcement] = []
    assert list(announced(iter(found), told.append)) == [
        event for event in found if isinstance(event, TraceEvent)
    ]
    assert told == [event for event in found if isinstance(event, Announcement)]
    assert told
