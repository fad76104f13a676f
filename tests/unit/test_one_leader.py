"""The assignor of one leader: all for one, and it stays so while that one is there."""

from collections.abc import Iterable
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.leading.assignor import OneLeader

TOPICS = {"alerts": {0}, "aggregates": {0, 1, 2, 3}}


class Cluster:
    """What the assignor asks the client of."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Return the partitions of a topic, None where there is none."""
        return TOPICS.get(topic)


class Group:
    """Members that join and leave; each rebalance is as aiokafka's coordinator does it."""

    def __init__(self) -> None:
        self.members: dict[str, OneLeader] = {}
        self.now = 1000.0

    def rebalance(self, names: Iterable[str], topics: Iterable[str] = TOPICS) -> str:
        """Let these members join, and return who got everything."""
        self.now += 1
        joined = {
            name: self.members.setdefault(name, OneLeader(lambda: self.now)) for name in names
        }
        told = {name: member.metadata(list(topics)) for name, member in joined.items()}
        assigned = next(iter(joined.values())).assign(cast("Any", Cluster()), told)
        assert assigned.keys() == joined.keys()
        got = {name: each.assignment for name, each in assigned.items() if each.assignment}
        ((leader, partitions),) = got.items()
        assert partitions == [("aggregates", [0, 1, 2, 3]), ("alerts", [0])]
        for name, member in joined.items():
            member.on_assignment(assigned[name])
        return leader


@given(st.lists(st.sets(st.sampled_from("abcd"), min_size=1), min_size=1, max_size=20))
def test_who_leads_leads_on_while_it_joins(rebalances: list[set[str]]) -> None:
    """Whoever comes and goes beside it, the leader stays; all partitions are always one's."""
    group, leader = Group(), ""
    for joined in rebalances:
        for gone in group.members.keys() - joined:
            del group.members[gone]
        chosen = group.rebalance(sorted(joined))
        assert chosen in joined
        if leader in joined:
            assert chosen == leader
        leader = chosen


def test_one_that_slept_through_its_replacement_does_not_lead_again() -> None:
    """It still thinks that it leads, and so does its successor: the successor stays."""
    group = Group()
    assert group.rebalance(["a", "b"]) == "a"
    assert group.rebalance(["b"]) == "b"
    assert group.rebalance(["a", "b"]) == "b"
    assert group.rebalance(["a", "b"]) == "b"


def test_topics_that_do_not_exist_are_left_out() -> None:
    """A missing topic stops nobody from leading the rest."""
    assert Group().rebalance(["a"], [*TOPICS, "missing"]) == "a"


def test_what_a_member_of_another_version_tells_is_no_term() -> None:
    """Who cannot say that it leads does not."""
    group = Group()
    group.rebalance(["b"])
    told = {"a": group.members["b"].metadata(TOPICS), "b": group.members["b"].metadata(TOPICS)}
    told["a"].user_data = b"old"
    assigned = group.members["b"].assign(cast("Any", Cluster()), told)
    assert assigned["b"].assignment
    assert not assigned["a"].assignment
