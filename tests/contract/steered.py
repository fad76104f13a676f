"""A monitored service that forks once it knows its experiments, as servers with workers do.

python steered.py BOOTSTRAP_SERVERS
"""

import os
import sys
import time

import inferwatch_agents
from inferwatch_agents import CircuitOpenError

SECONDS = 20


def stopped() -> bool:
    """Whether a control stops this service."""
    try:
        inferwatch_agents.guard()
    except CircuitOpenError:
        return True
    return False


def obey(who: str) -> None:
    """Tell the variant of a user, and when a control arrives."""
    sys.stdout.write(f"{who} {inferwatch_agents.assign('forking', 'u')}\n")
    sys.stdout.flush()
    deadline = time.monotonic() + SECONDS
    while not stopped() and time.monotonic() < deadline:
        time.sleep(0.01)
    sys.stdout.write(f"{who} {'stopped' if stopped() else 'went on'}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    inferwatch_agents.init("forking", kafka=sys.argv[1])
    assert inferwatch_agents.follow(SECONDS)  # a test's program
    child = os.fork()
    if child == 0:
        obey("child")
        sys.exit(0)
    obey("parent")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
