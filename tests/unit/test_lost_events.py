"""What rules hear of lost events while ClickHouse is away, and before it has told anything."""

import threading
from collections.abc import Iterator

import pytest

from inferwatch.lost_events import SETTLED, STALE, LostEvents, Told
from inferwatch_clickhouse.errors import ClickHouseUnavailableError
from inferwatch_streams.errors import RuleFailedError
from inferwatch_streams.rules.completeness import Gap

SECOND = 1_000_000
GAP = Gap("inferwatch.logs", "chat", "p", made=10, missing=1)


class Server:
    """A ClickHouse that answers or not, and a clock."""

    def __init__(self) -> None:
        self.now = 6_000 * SECOND
        self.away = True
        self.asked: list[tuple[int, int]] = []
        self.heard = threading.Event()

    def ask(self, since: int, until: int) -> Told:
        """As ``ask``."""
        self.asked.append((since, until))
        self.heard.set()
        if self.away:
            raise ClickHouseUnavailableError("nobody answers")
        return Told(until, [(until - 60 * SECOND, GAP)])

    def clock(self) -> float:
        """Seconds since 1970."""
        return self.now / SECOND


@pytest.fixture
def server() -> Iterator[Server]:
    """Yield a server that is away; the thread that asks on after the test has nothing to log."""
    server = Server()
    yield server
    server.away = False


def test_a_server_that_never_answers_fails_the_rule_in_time(server: Server) -> None:
    """At first nothing is known and nothing fires; then the rule says why it cannot tell."""
    lost = LostEvents(server.ask, server.clock)
    assert lost.gaps(0, 900 * SECOND) == []
    assert server.heard.wait(10)
    server.now += STALE + SECOND
    with pytest.raises(RuleFailedError, match="has not told for long"):
        lost.gaps(0, 900 * SECOND)


def test_what_was_told_holds_for_a_while(server: Server) -> None:
    """The longest stretch that a rule wants is asked for, up to the last settled minute."""
    server.away = False
    lost = LostEvents(server.ask, server.clock)
    lost.gaps(server.now - 60 * SECOND, server.now)
    lost.gaps(server.now - 900 * SECOND, server.now)
    lost.refresh()
    until = server.now - SETTLED
    assert server.asked[-1] == (until - 900 * SECOND, until)
    server.away = True
    lost.refresh()
    assert lost.gaps(server.now - 900 * SECOND, server.now) == [GAP]
    assert lost.gaps(server.now - 60 * SECOND, server.now) == []
    server.now += STALE + SECOND
    with pytest.raises(RuleFailedError, match="nobody answers"):
        lost.gaps(server.now - 900 * SECOND, server.now)
