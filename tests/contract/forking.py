"""A monitored service that forks, as servers with several workers do.

python forking.py BOOTSTRAP_SERVERS
"""

import multiprocessing
import os
import sys

import inferwatch_agents

CALLS = 3


def work() -> None:
    """Make some calls; the end of the process sends them."""
    for _ in range(CALLS):
        with inferwatch_agents.call(model="m"):
            pass


if __name__ == "__main__":
    inferwatch_agents.init("forking", kafka=sys.argv[1])
    work()
    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    child = os.fork()
    if child == 0:
        work()
        sys.exit(0)
    worker.join()
    status = os.waitpid(child, 0)[1]
    work()
    sys.exit(worker.exitcode or os.waitstatus_to_exitcode(status))
