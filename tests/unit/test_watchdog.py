"""The watchdog tells a stall once, explains it, and has it repaired once."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from structlog.testing import capture_logs

from inferwatch_schemas.columnar.chunk import TopicPartition
from inferwatch_schemas.columnar.stalls import Observation
from inferwatch_schemas.columnar.waits import Waits
from inferwatch_schemas.columnar.watchdog import BLIND_SECONDS, Meters, Watchdog

AT = ("requests", 0)
OTHER = ("requests", 1)
LIMIT = 30.0


class Case:
    """A watchdog with a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.registry = CollectorRegistry()
        labels = ["topic", "partition"]
        meters = Meters(
            Gauge("lag", "-", labels, registry=self.registry),
            Gauge("stalled", "-", labels, registry=self.registry),
            Counter("repairs", "-", registry=self.registry),
            Counter("recreated", "-", ["topic"], registry=self.registry),
        )
        self.waits = Waits(lambda: self.now)
        self.watchdog = Watchdog("sink", LIMIT, meters, self.waits, lambda: self.now)
        self._answered = 0

    def look(self, positions: dict[TopicPartition, int | None] | None, end: int = 9) -> None:
        """One second later: the partitions have come so far, and every fetch was answered."""
        self.now += 1
        self._answered += 1
        seen = positions and {
            at: Observation("log", position, end, self._answered)
            for at, position in positions.items()
        }
        self.watchdog.observe(seen, joined=positions is not None)

    def stand(self, seconds: int = int(LIMIT) + 1) -> None:
        """Let one partition stand still."""
        for _ in range(seconds):
            self.look({AT: 5, OTHER: 9})

    def metric(self, name: str, partition: int = 0) -> float | None:
        """What is served of a partition."""
        labels = {"topic": "requests", "partition": str(partition)}
        return self.registry.get_sample_value(name, labels)

    @property
    def why(self) -> list[Any]:
        """Reasons not to be ready."""
        return [reason["reason"] for reason in self.watchdog.reasons()]


@pytest.fixture
def case() -> Case:
    """A case."""
    return Case()


def test_it_is_not_ready_before_the_group_has_formed(case: Case) -> None:
    """Neither before the first look nor during a rebalance; without partitions it may be."""
    assert case.why == ["the consumer group has not settled"]
    case.look({})
    assert case.why == []
    case.look(None)
    case.look(None)
    (reason,) = case.watchdog.reasons()
    assert reason == {
        "reason": "the consumer group has not settled", "app": "sink", "seconds": 1.0,
    }  # fmt: skip


def test_a_stall_is_told_once_with_all_that_is_known_of_it(case: Case) -> None:
    """One error when it begins, one line when it ends; metrics and reasons meanwhile."""
    with capture_logs() as said:
        case.stand(60)
    assert [entry["event"] for entry in said] == ["partition stalled"]
    assert said[0] == {
        "event": "partition stalled", "log_level": "error", "app": "sink", "topic": "requests",
        "partition": 0, "position": 5, "log_end": 9, "seconds": 30.0,
        "cause": "its position does not move although the log goes on",
        "waits_for": ["nothing known"],
    }  # fmt: skip
    (reason,) = case.watchdog.reasons()
    assert (reason["topic"], reason["partition"], reason["seconds"]) == ("requests", 0, 59.0)
    assert (case.metric("stalled"), case.metric("stalled", 1)) == (1, 0)
    assert (case.metric("lag"), case.metric("lag", 1)) == (4, 0)
    with capture_logs() as said:
        case.look({AT: 6, OTHER: 9})
    assert [(entry["log_level"], entry["event"]) for entry in said] == [
        ("info", "partition no longer stalled")
    ]
    assert case.why == []
    assert case.metric("stalled") == 0


def test_a_stall_names_what_the_app_waits_for(case: Case) -> None:
    """Whoever reads the log need not guess; what takes a moment at every flush is not named."""
    case.waits.begin("ClickHouse")
    case.stand(30)
    case.now += 0.5
    case.waits.begin("Kafka")
    case.now -= 0.5
    with capture_logs() as said:
        case.look({AT: 5, OTHER: 9})
    assert [entry["waits_for"] for entry in said] == [["ClickHouse"]]
    assert case.why == ["partition stalled", "waits for ClickHouse"]


def test_a_rebalance_that_gives_it_back_does_not_end_a_stall(case: Case) -> None:
    """It is told once, however often the group rebalances."""
    with capture_logs() as said:
        case.stand()
        case.look(None)
        case.stand(2)
    assert [entry["event"] for entry in said] == ["partition stalled"]
    assert case.why == ["partition stalled"]


def test_a_partition_given_away_is_no_longer_told_of(case: Case) -> None:
    """Its metrics go with it: somebody else has them now."""
    case.stand()
    case.look({OTHER: 9})
    assert case.why == []
    assert (case.metric("stalled"), case.metric("lag")) == (None, None)
    assert case.metric("stalled", 1) == 0


def test_a_process_that_was_stopped_has_watched_nothing_meanwhile(case: Case) -> None:
    """After SIGCONT the partitions have their time again; blind, the app was not ready."""
    case.look({AT: 5})
    case.now += 600
    assert case.why == ["the watchdog has seen no partition"]
    case.look({AT: 5})
    assert case.why == []
    case.now += BLIND_SECONDS - 1
    assert case.why == []


def test_a_stall_without_a_known_reason_is_repaired_once(case: Case) -> None:
    """The partitions are read again from their floors; again only after they have moved."""
    case.stand(30)
    assert not case.watchdog.take_repair()
    case.stand(1)
    assert case.watchdog.take_repair()
    case.stand(90)
    assert not case.watchdog.take_repair()
    case.look({AT: 6, OTHER: 9})
    assert not case.watchdog.take_repair()
    for _ in range(30):
        case.look({AT: 6, OTHER: 9})
    assert case.watchdog.take_repair()
    assert case.registry.get_sample_value("repairs_total") == 2


def test_a_stall_with_a_known_reason_is_not_repaired(case: Case) -> None:
    """Reading again helps against nothing outside; for a while after its end it may still move."""
    case.waits.begin("ClickHouse")
    case.stand(60)
    assert not case.watchdog.take_repair()
    case.waits.end("ClickHouse")
    case.stand(29)
    assert not case.watchdog.take_repair()
    case.stand(1)
    assert case.watchdog.take_repair()


def test_silence_of_the_broker_is_told_as_such_and_not_repaired(case: Case) -> None:
    """A fetcher that died and a broker that is away look alike, also at the end of the log."""
    with capture_logs() as said:
        for _ in range(31):
            case.now += 1
            case.watchdog.observe({AT: Observation("log", 9, 9, 7)}, joined=True)
    assert [(entry["cause"], entry["waits_for"]) for entry in said] == [
        ("no fetch of it is answered", ["Kafka to answer a fetch"])
    ]
    assert not case.watchdog.take_repair()


def test_a_topic_created_again_is_said_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Each time it is counted and said once, with the ids of both logs."""
    case = Case()
    case.watchdog.tell_recreated({})
    case.watchdog.tell_recreated({"requests": ("one", "two")})
    case.watchdog.tell_recreated({"requests": ("two", "three")})
    assert case.registry.get_sample_value("recreated_total", {"topic": "requests"}) == 2
    said = [line for line in capsys.readouterr().out.splitlines() if "created again" in line]
    assert len(said) == 2
    assert all("topic=requests" in line for line in said)
    assert ("one" in said[0], "three" in said[1]) == (True, True)
