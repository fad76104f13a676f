"""How long after a call failed the alert that it fires is on its topic.

    python -m tests.benchmarks.alert_latency [--rate 5000] [--seconds 60] [--json FILE]

Apache Kafka where Java and Maven are; a worker each of aggregation, rules and notifications; a live
load of requests. Beside it, services of their own fail, one after the other at random moments: ten
calls each. An alert's latency is from the event time of these calls to the broker's time of the
first record that says that it fires, whoever of the two has to wait for whom in between; and to the
time at which a webhook on this machine was told.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import base64
import json
import os
import platform
import random
import sys
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import ALERTS
from inferwatch_schemas.wire import decode
from tests.benchmarks.claims import Claim, exit_status
from tests.benchmarks.deployment import (
    READY_SECONDS,
    Deployment,
    LiveLoad,
    deployed,
    has_partitions,
)
from tests.contract.calls import call
from tests.contract.load import Log
from tests.contract.pipeline import Worker, wait_until

P99_SECONDS = 5.0
WEBHOOK_P99_SECONDS = 6.0
WARM_UP_SECONDS = 10.0
LAST_SECONDS = 20.0
# The load ends by itself after that and the measured time.
MOST_SECONDS = 300.0
CALLS = 10
PAUSE_SECONDS = (0.2, 0.8)
RULES = """
defaults: true
rules:
  - name: probe
    kind: threshold
    severity: low
    measure: error_rate
    by: [service]
    where: ['service=~"probe-.*"']
    window: 10s
    above: 0.05
    min_samples: 5
"""


NOTIFICATIONS = """
channels:
  probe:
    type: webhook
    url: {env: PROBE_URL}
    signing_secret: {env: PROBE_SECRET}
    send_resolved: false
    limit: {messages: 1000, per: 1m}
routes:
- match: ['rule="probe"']
  channels: [probe]
"""


class Webhook(ThreadingHTTPServer):
    """Notes when it was first told of each service's alert that it fires."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Told)
        self.fired: dict[str, float] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}/"


class Told(BaseHTTPRequestHandler):
    """Takes one notification."""

    server: Webhook

    def do_POST(self) -> None:
        """Note it, and say that it was taken."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.fired.setdefault(body["data"]["labels"]["service"], time.time())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Watcher:
    """Notes when the broker took the first record of each service's alert that says it fires."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.fired: dict[str, float] = {}
        self._stop = threading.Event()
        self._consumer = Consumer({**kafka.confluent(), "group.id": "alert-latency"})
        self._consumer.assign([TopicPartition(ALERTS.name, 0, OFFSET_END)])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None or message.value() is None:
                continue
            record = decode(message.value(), PinnedRegistry())
            if record.get("rule") == "probe" and record["status"] == "firing":
                labels = {each["name"]: each["value"] for each in record["labels"]}
                self.fired.setdefault(labels["service"], message.timestamp()[1] / 1000)


def run(
    deployment: Deployment, webhook: Webhook, rate: float, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Latencies of the alerts on the topic, and at the webhook, in seconds.

    Raises:
        SystemExit: An alert did not fire, or was not told.
    """
    kafka = deployment.stack.kafka
    failed: dict[str, float] = {}
    with ExitStack() as stop:
        watcher = Watcher(kafka)
        stop.callback(watcher.close)
        load = stop.enter_context(LiveLoad(deployment, rate, MOST_SECONDS + seconds))
        log = Log(kafka)
        time.sleep(WARM_UP_SECONDS)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            load.status()  # raises where the load has failed
            service = f"probe-{len(failed)}"
            failed[service] = time.time()
            log.publish([call(service, failed=True) for _ in range(CALLS)])
            time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311  # at random moments, no secret
        deadline = time.monotonic() + LAST_SECONDS
        while time.monotonic() < deadline and not (
            len(watcher.fired) == len(webhook.fired) == len(failed)
        ):
            time.sleep(0.1)
        load.stop()
    for told, what in ((watcher.fired, "did not fire"), (webhook.fired, "were not told")):
        if missing := failed.keys() - told.keys():
            raise SystemExit(f"{len(missing)} of {len(failed)} alerts {what}.")
    on_topic, at_webhook = (
        np.array([told[service] - at for service, at in failed.items()])
        for told in (watcher.fired, webhook.fired)
    )
    return on_topic, at_webhook


def started(deployment: Deployment, webhook: Webhook, stop: ExitStack) -> list[Worker]:
    """A worker of each of the three roles, at work."""
    rules, channels = (deployment.folder / name for name in ("rules.yaml", "channels.yaml"))
    rules.write_text(RULES)
    channels.write_text(NOTIFICATIONS)
    os.environ["PROBE_URL"] = webhook.url
    os.environ["PROBE_SECRET"] = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
    found: list[Worker] = []
    for role in ("aggregation", "rules", "notifications"):
        worker = deployment.stack.worker(
            role, "--only", role, rules_file=str(rules), notifications_file=str(channels)
        )
        found.append(stop.enter_context(worker))
        wait_until(
            lambda worker=worker, role=role: has_partitions(worker, (role,)),
            bool, *found, seconds=READY_SECONDS,
        )  # fmt: skip
    return found


def main() -> None:
    """Measure, print, and fail where it is too slow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=5000.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args()
    with deployed() as deployment, ExitStack() as stop, Webhook() as webhook:
        started(deployment, webhook, stop)
        print(
            f"Alerts beside {options.rate:,.0f} events/s for {options.seconds:g} s on "
            f"{deployment.broker}; {os.cpu_count()} CPUs, Python {platform.python_version()}",
            flush=True,
        )
        waits = run(deployment, webhook, options.rate, options.seconds)
    figures, claims = {}, []
    for name, waited, bound in zip(
        ("alert on the topic", "webhook"), waits, (P99_SECONDS, WEBHOOK_P99_SECONDS), strict=True
    ):
        p50, p90, p99, most = np.quantile(waited, (0.5, 0.9, 0.99, 1.0)).tolist()
        figures[name] = {"alerts": len(waited), "p50": p50, "p90": p90, "p99": p99, "max": most}
        print(f"{len(waited)} alerts, event to {name}: p50 {p50:.2f} s, p90 {p90:.2f} s, "
              f"max {most:.2f} s")  # fmt: skip
        claims.append(Claim(f"event to {name}: p99 {p99:.2f} s < {bound} s", p99 < bound))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(exit_status(claims))


if __name__ == "__main__":
    main()
