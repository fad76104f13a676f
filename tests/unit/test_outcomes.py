"""Faults: each kind is told once, all are counted."""

from structlog.testing import capture_logs

from inferwatch_agents.outcomes import Faults


def test_a_kind_of_fault_is_told_once_for_each_thing_it_is_of() -> None:
    """So that a second bad definition does not hide behind the first; the count is of all."""
    faults = Faults()
    for which, error in (("a", ValueError("1")), ("a", ValueError("2")), ("b", ValueError("3"))):
        faults.note("reading", error, which)
    faults.note("reading", KeyError("4"), "a")
    with capture_logs() as told:
        faults.tell()
        faults.tell()
    assert [line["reason"] for line in told] == ["1", "3", "'4'"]
    assert faults.counts == {"reading": 4}
