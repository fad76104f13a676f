"""A real Prometheus scrapes the example service, which needs no Kafka for that."""

import json
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from chat_example import drive, get, served
from pipeline import wait_until

from inferwatch.embedded.processes import LOOPBACK, Child, accepts_connections, free_port
from inferwatch_schemas.kafka import KafkaSettings

REQUESTS = 400
NO_KAFKA = KafkaSettings("127.0.0.1:1")
PROMETHEUS = ("prometheus", "promtool")


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Run a Prometheus that scrapes one target, and yield its address."""
    config = folder / "prometheus.json"  # JSON is YAML
    scrape = {"job_name": "example", "static_configs": [{"targets": [target]}]}
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}))
    port = free_port()
    child = Child.start(
        [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={LOOPBACK}:{port}",
        ],
        name="Prometheus", log=folder / "prometheus.log",
    )  # fmt: skip
    with child:
        child.wait_ready(lambda: accepts_connections(port), 30)
        yield f"http://{LOOPBACK}:{port}"


def ask(address: str, query: str, label: str) -> dict[str, float]:
    """The values of an instant query, by a label."""
    answer: dict[str, Any] = json.loads(
        get(f"{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}")
    )
    return {one["metric"][label]: float(one["value"][1]) for one in answer["data"]["result"]}


@pytest.mark.external
@pytest.mark.skipif(not all(map(shutil.which, PROMETHEUS)), reason="Prometheus is not installed")
@pytest.mark.parametrize("workers", [1, 2])
def test_prometheus_scrapes_what_was_answered(tmp_path: Path, workers: int) -> None:
    """Its own check finds nothing to say, and its counts are the load's, of all processes."""
    options = ("--workers", str(workers)) if workers > 1 else ()
    variables = {"INFERWATCH_FLUSH_SECONDS": "0.1"}
    if workers > 1:
        variables["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path / "metrics")
    (tmp_path / "metrics").mkdir()
    with (
        served(NO_KAFKA, tmp_path, *options, variables=variables) as url,
        prometheus(tmp_path, url.removeprefix("http://")) as address,
    ):
        statuses = drive(url, REQUESTS)
        checked = subprocess.run(
            ["promtool", "check", "metrics"],  # noqa: S607  # where the PATH has it
            input=get(f"{url}/metrics"), capture_output=True, check=False,
        )  # fmt: skip
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
        wait_until(
            lambda: ask(address, "sum by (status) (ai_requests_total)", "status"),
            lambda found: found == statuses,
            seconds=20,
        )
        durations = ask(
            address, "sum by (endpoint) (ai_request_duration_seconds_count)", "endpoint"
        )
    assert durations.keys() == {"/v1/chat", "/v1/chat/stream"}
    assert sum(durations.values()) == REQUESTS
    processes = {file.name.rpartition("_")[2] for file in (tmp_path / "metrics").glob("counter_*")}
    assert len(processes) == (workers if workers > 1 else 0)
