"""A monitored service that is killed while events wait, or ends as it should.

python killed.py BOOTSTRAP_SERVERS ACKNOWLEDGED WAITING killed|ended

Prints its producer id and how many calls it made.
"""

import os
import signal
import sys

import inferwatch_agents
from inferwatch_agents import process

servers, acknowledged, waiting, how = sys.argv[1:]
inferwatch_agents.init("killed", kafka=servers)


def work(calls: int) -> None:
    """Make some calls."""
    for _ in range(calls):
        with inferwatch_agents.call(model="m"):
            pass


work(int(acknowledged))
if not inferwatch_agents.flush(30):
    sys.exit("Kafka does not answer.")
work(int(waiting))
sdk = process.active()
assert sdk is not None
sys.stdout.write(f"{sdk.delivery.producer_id} {int(acknowledged) + int(waiting)}\n")
sys.stdout.flush()
if how == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
