"""``inferwatch`` with Faust's own ledger of acknowledged messages in place of the floors.

A mutation that the suite must notice: Faust commits what its agents took in, whether or not its
results are durable, and past messages that are still on their way.
"""

from typing import Any

import faust
from faust.transport.drivers import aiokafka as stock

from inferwatch.main import run
from inferwatch_streams.transport import driver

plain_topic = faust.App.topic


def acknowledged_topic(app: faust.App, *names: str, **options: Any) -> Any:
    """A topic whose messages the ledger is told of."""
    return plain_topic(app, *names, **{**options, "acks": True})


def replace_floors() -> None:
    """Have Faust's ledger decide what is committed."""
    faust.App.topic = acknowledged_topic
    driver.Consumer.commit = stock.Consumer.commit


if __name__ == "__main__":
    replace_floors()
    run()
