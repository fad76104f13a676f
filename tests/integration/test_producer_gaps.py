"""How many events were made, landed and are missing, by producer and minute, against an oracle."""

import random
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from avro_rows import store

from inferwatch.lost_events import LostEvents, Told, ask
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas import releases
from inferwatch_schemas.topics import PUBLISHED, Topic
from inferwatch_streams.rules.completeness import Gap

SECOND = 1_000_000
MINUTE = 60 * SECOND
NOON = 1_700_136_000_000_000  # 2023-11-16 12:00:00 UTC, in microseconds
HOUR = 60 * MINUTE
COLUMNS = "topic, producer_id, toUnixTimestamp(minute), sources, made, landed, missing, resent"

Row = dict[str, Any]


def source_field(topic: Topic) -> str:
    """What tells where an event of a topic is from."""
    names = {field["name"] for field in releases.latest(topic.schemas[0]).schema["fields"]}
    return "service_name" if "service_name" in names else "host_name"


def end(producer: str, made: int, at: int, **given: Any) -> Row:
    """A record that tells of a producer's end."""
    return {
        "producer_id": "teller", "ended_producer_id": producer, "service_name": "chat",
        "ended_topic": "inferwatch.requests", "events_made": made, "event_time": at, **given,
    }  # fmt: skip


def text(micros: int) -> str:
    """A time as ClickHouse reads it."""
    return datetime.fromtimestamp(micros / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def between(clickhouse: ClickHouse, since: int, until: int) -> list[tuple[Any, ...]]:
    """Rows of the view over a stretch of time."""
    return clickhouse.query(
        f"SELECT {COLUMNS} FROM producer_gaps_between(since = '{text(since)}', "  # noqa: S608  # names and times of this file
        f"until = '{text(until)}') WHERE producer_id != 'teller' ORDER BY ALL"
    )


def expected(
    topic: str, landed: Mapping[str, list[Row]], ends: Mapping[str, tuple[int, int]]
) -> list[tuple[Any, ...]]:
    """The view's rows of one topic, by walking each producer's numbers in order.

    Args:
        topic: Its name.
        landed: Records by producer, each as often as it stands in Kafka.
        ends: How many events a producer had made, and when it was last seen alive.
    """
    found = []
    for producer, rows in landed.items():
        by_number: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            by_number[row["sequence"]].append(row)
        made: Counter[int] = Counter()
        kept: Counter[int] = Counter()
        resent: Counter[int] = Counter()
        sources: dict[int, set[str]] = defaultdict(set)
        following = 0
        for number in sorted(by_number):
            copies = by_number[number]
            minute = copies[0]["event_time"] // MINUTE * 60
            made[minute] += number - following + 1
            kept[minute] += 1
            resent[minute] += len(copies) - 1
            sources[minute].add(copies[0]["service_name"])
            following = number + 1
        if producer in ends:
            count, seen = ends[producer]
            minute = seen // MINUTE * 60
            made[minute] += count - following
            sources[minute].add("chat")
        found += [
            (topic, producer, minute, sorted(sources[minute]), made[minute], kept[minute],
             made[minute] - kept[minute], resent[minute])
            for minute in made
        ]  # fmt: skip
    return sorted(found)


def records(rng: random.Random) -> dict[str, list[Row]]:
    """Three producers' records as Kafka has them: lost, late, and sent again ones among them."""
    offset = 0
    found: dict[str, list[Row]] = {}
    for name in ("a", "b", "silent"):
        rows: list[Row] = []
        lost_until = -1
        for sequence in range(rng.choice((1, 50, 2000))):
            if rng.random() < 0.02:
                lost_until = sequence + rng.choice((1, 5, 300))
            if sequence < lost_until:
                continue
            at = NOON + sequence * rng.choice((1, 5 * SECOND))
            # One that was silent for long lost most meanwhile; clocks go astray by hours.
            at += 5 * HOUR * (name == "silent" and sequence > 25)
            at += rng.randint(-5 * HOUR, 5 * HOUR) * (rng.random() < 0.02)
            service = rng.choice(("chat", "chat", "search"))
            for _ in range(1 + (rng.random() < 0.05) * rng.randint(1, 3)):
                rows.append({
                    "producer_id": name, "sequence": sequence, "event_time": at,
                    "service_name": service, "kafka_topic_id": "t",
                    "kafka_partition": offset % 4, "kafka_offset": offset,
                })  # fmt: skip
                offset += 1
        found[name] = rows
    return {name: rows for name, rows in found.items() if rows}


@pytest.mark.parametrize("seed", range(8))
def test_every_number_is_accounted_for(clickhouse: ClickHouse, seed: int) -> None:
    """Over all time, and over stretches whose producers' other numbers landed outside of them."""
    rng = random.Random(seed)  # noqa: S311  # not for cryptography
    landed = records(rng)
    rows = [row for several in landed.values() for row in several]
    ends = {
        name: (
            max((row["sequence"] for row in landed.get(name, ())), default=-1) + 1 + lost,
            NOON + rng.randint(0, 6 * HOUR),
        )
        for name, lost in (("a", rng.randint(0, 3)), ("silent", 1000), ("unheard", 7))
    }
    landed["unheard"] = []
    told = [end(name, made, at) for name, (made, at) in ends.items()]
    # Told again, by others who saw it later.
    told += [end(name, made, at + rng.randint(0, HOUR)) for name, (made, at) in ends.items()]
    for number, row in enumerate(told):
        row |= {"kafka_offset": number, "sequence": number}
    rng.shuffle(told)
    store(clickhouse, "producer_end", told)
    # What ClickHouse did not acknowledge is inserted again.
    inserted = rows + rng.sample(rows, len(rows) // 2)
    rng.shuffle(inserted)
    while inserted:
        size = rng.randint(1, 1500)
        store(clickhouse, "request", inserted[:size])
        del inserted[:size]
    exact = expected("inferwatch.requests", landed, ends)
    whole = clickhouse.query(
        f"SELECT {COLUMNS} FROM producer_gaps WHERE producer_id != 'teller' ORDER BY ALL"  # noqa: S608  # names of this file
    )
    assert whole == exact
    assert sum(row[4] for row in exact) == sum(
        ends[name][0] if name in ends else max(row["sequence"] for row in several) + 1
        for name, several in landed.items()
    )
    first, last = (pick(row[2] for row in exact) for pick in (min, max))
    for _ in range(6):
        since = rng.randrange(first - 60, last, 60)
        until = since + rng.choice((60, 600, 3600, 86_400))
        assert between(clickhouse, since * SECOND, until * SECOND) == [
            row for row in exact if since <= row[2] < until
        ]


@pytest.mark.parametrize("topic", PUBLISHED, ids=lambda topic: topic.name)
def test_every_topic_of_services_is_counted(clickhouse: ClickHouse, topic: Topic) -> None:
    """Each table takes part, under its topic's name and by its service or host."""
    store(
        clickhouse,
        topic.schemas[0],
        [
            {"producer_id": "p", "sequence": sequence, "event_time": NOON + sequence * MINUTE,
             source_field(topic): "one", "kafka_offset": sequence}
            for sequence in (1, 2, 5)
        ],
    )  # fmt: skip
    noon = NOON // SECOND
    assert clickhouse.query(f"SELECT {COLUMNS} FROM producer_gaps ORDER BY minute") == [  # noqa: S608  # names of this file
        (topic.name, "p", noon + 60, ["one"], 2, 1, 1, 0),
        (topic.name, "p", noon + 120, ["one"], 1, 1, 0, 0),
        (topic.name, "p", noon + 300, ["one"], 3, 1, 2, 0),
    ]


def test_the_last_events_of_a_producer_are_not_missed_before_its_end_is_told(
    clickhouse: ClickHouse,
) -> None:
    """What comes after the last number that landed is known to have been made only then."""
    rows = [{"producer_id": "died", "sequence": number, "event_time": NOON} for number in range(3)]
    store(clickhouse, "log", [{**row, "kafka_offset": row["sequence"]} for row in rows])
    ask = "SELECT made, landed, missing FROM producer_gaps WHERE producer_id = 'died'"
    assert clickhouse.query(ask) == [(3, 3, 0)]
    store(clickhouse, "producer_end", [end("died", 9, NOON, ended_topic="inferwatch.logs")])
    assert clickhouse.query(ask) == [(9, 3, 6)]


def test_a_producer_id_kept_over_a_restart_shows_as_resent(clickhouse: ClickHouse) -> None:
    """Numbers that begin anew are told as sent again, each of them, and nothing as missing."""
    rows = [
        {"producer_id": "kept", "sequence": number % 10, "event_time": NOON + number * MINUTE,
         "kafka_offset": number}
        for number in range(15)
    ]  # fmt: skip
    store(clickhouse, "log", rows)
    assert clickhouse.query(
        "SELECT sum(made), sum(landed), sum(missing), sum(resent) FROM producer_gaps"
    ) == [(10, 10, 0, 5)]


def test_an_hour_is_read_without_the_other_weeks(clickhouse: ClickHouse) -> None:
    """The stretch reaches the index: of weeks of events, an hour's are grouped by number."""
    store(
        clickhouse,
        "request",
        (
            {"producer_id": "p", "sequence": minute, "event_time": NOON + minute * MINUTE,
             "kafka_offset": minute}
            for minute in range(40_000)
        ),
    )  # fmt: skip
    plan = clickhouse.query(
        "EXPLAIN indexes = 1 SELECT producer_id, max(sequence) FROM producer_sequences "  # noqa: S608  # times of this file
        f"WHERE event_time >= '{text(NOON)}' AND event_time < '{text(NOON + HOUR)}' "
        "AND topic = 'inferwatch.requests' GROUP BY producer_id"
    )
    granules = [found for (line,) in plan if (found := re.search(r"Granules: (\d+)/(\d+)", line))]
    assert int(granules[0][2]) >= 5
    assert int(granules[-1][1]) <= 2
    assert len(between(clickhouse, NOON + HOUR, NOON + 2 * HOUR)) == 60


@pytest.fixture
def told(clickhouse_settings: ClickHouseSettings) -> Iterator[Callable[[int, int], Told]]:
    """Yield what asks ClickHouse; the thread that asks on after the test has nothing to log."""
    over = threading.Event()

    def asked(since: int, until: int) -> Told:
        return Told(until, []) if over.is_set() else ask(clickhouse_settings, since, until)

    yield asked
    over.set()


def test_rules_hear_of_what_is_missing(
    clickhouse: ClickHouse, told: Callable[[int, int], Told]
) -> None:
    """The kind completeness fires for the producer that lost events, of settled minutes."""
    rows = [
        {"producer_id": "lossy", "sequence": number, "event_time": NOON + number * SECOND,
         "service_name": "chat", "kafka_offset": number}
        for number in (*range(10), 12)
    ]  # fmt: skip
    store(clickhouse, "log", rows)
    late = {"producer_id": "sound", "sequence": 5, "event_time": NOON + 9 * MINUTE}
    store(clickhouse, "log", [{**late, "kafka_offset": 20}])
    lost = LostEvents(told, lambda: (NOON + 10 * MINUTE) / 1e6)
    assert lost.gaps(NOON, NOON + 10 * MINUTE) == []
    lost.refresh()
    assert lost.gaps(NOON, NOON + 10 * MINUTE) == [
        Gap("inferwatch.logs", "chat", "lossy", made=13, missing=2)
    ]
    assert lost.gaps(NOON + MINUTE, NOON + 10 * MINUTE) == []
