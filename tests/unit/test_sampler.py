"""The thread that samples: it goes on whatever happens, and ends when told."""

import threading

from structlog.testing import capture_logs

from inferwatch_agents.errors import PublishError
from inferwatch_agents.host.sampler import Sampler


def test_a_sample_that_fails_is_told_and_the_next_is_taken() -> None:
    """Neither a broker's trouble nor a defect ends it."""
    failures: list[Exception] = [PublishError("no broker"), ZeroDivisionError("a defect")]
    taken: list[float] = []
    enough = threading.Event()

    def sample(now: float) -> None:
        if failures:
            raise failures.pop(0)
        taken.append(now)
        if len(taken) == 3:
            enough.set()

    sampler = Sampler("test", sample, 0.01)
    with capture_logs() as logs:
        sampler.start()
        assert enough.wait(10)
        assert sampler.stop()
    assert [log["log_level"] for log in logs] == ["warning", "error"]
    assert logs[0]["reason"] == "no broker"
    assert not any(thread.name == "test-sampler" for thread in threading.enumerate())
    assert taken == sorted(taken)


def test_a_sampler_that_hangs_is_left_behind() -> None:
    """Ending does not wait for a call that does not come back."""
    inside, go_on = threading.Event(), threading.Event()

    def sample(_: float) -> None:
        inside.set()
        go_on.wait(20)

    sampler = Sampler("hanging", sample, 0.01)
    sampler.start()
    assert inside.wait(10)
    assert not sampler.stop(timeout=0.01)
    go_on.set()
    assert sampler.stop(timeout=10)
