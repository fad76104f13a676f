"""The contender that this project is: the aggregation of ``inferwatch worker``."""

import sys
from pathlib import Path

from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.topics import REQUESTS, TOPICS
from tests.benchmarks.measuring import SESSION_SECONDS, WARM_UP_SECONDS, Cost, started
from tests.benchmarks.request_load import Load, Send, publish
from tests.benchmarks.rows import Rows
from tests.benchmarks.totals import check, merged


def run_inferwatch(
    kafka: KafkaSettings, folder: Path, warm_up: Load, load: Load, send: Send = publish
) -> Cost:
    """``inferwatch worker --only aggregation``, until the broker has its last row.

    Args:
        kafka: Where it reads, with nothing in it.
        folder: For its log.
        warm_up: Events that it counts first, unmeasured.
        load: Events that it is measured by.
        send: Publishes both.
    """
    TopicAdmin(kafka).create(TOPICS)
    command = [sys.executable, "-c", "from inferwatch.main import run; run()"]
    rows = Rows(kafka)
    try:
        with started(
            [*command, "worker", "--only", "aggregation"],
            folder,
            INFERWATCH_AGGREGATION_SESSION_TIMEOUT_SECONDS=SESSION_SECONDS,
            **kafka.to_environment(),
        ) as worker:
            send(kafka, REQUESTS.name, warm_up.values)
            worker.wait(lambda: rows.reach(len(warm_up.values)), WARM_UP_SECONDS)
            worker.pause()
            send(kafka, REQUESTS.name, load.values)
            events = len(load.values)
            cost = worker.cost_until_complete(
                rows.collect,
                lambda: rows.reach(len(warm_up.values) + events),
                events,
                limit_seconds=60 + events / 20_000,
            )
        check("inferwatch", rows.totals(), merged(warm_up.totals, load.totals))
        return cost
    finally:
        rows.close()
