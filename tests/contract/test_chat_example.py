"""The example service: each of its answers is an event, and is counted where Prometheus looks."""

import json
import shutil
import subprocess
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from chat_example import SERVICE, drive, get, served
from pipeline import Stack, wait_until
from test_sdk import read

from inferwatch.embedded.processes import LOOPBACK, Child, accepts_connections, free_port
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import decode

REQUESTS = 400
# Of the default seed: all that the service can answer.
STATUSES = {"200", "400", "404", "500", "503"}
PROMETHEUS = ("prometheus", "promtool")


def test_each_answer_is_an_event(stack: Stack, tmp_path: Path) -> None:
    """Also those just before SIGTERM; streams know their first token, errors their status."""
    with served(stack, tmp_path) as url:
        statuses = drive(url, REQUESTS)
    assert statuses.keys() == STATUSES
    found = [decode(m.value(), PinnedRegistry()) for m in read(stack, SERVICE, REQUESTS)]
    assert sorted(event["sequence"] for event in found) == list(range(REQUESTS))
    failed = Counter(
        str(event["http_response_status_code"]) for event in found if event["error_type"]
    )
    # A client that goes away from a stream has had its 200, and its call is one that was cancelled.
    left = failed.pop("None")
    assert 0 < left < REQUESTS / 10
    assert failed == {status: count for status, count in statuses.items() if status != "200"}
    for event in found:
        began = event["error_type"] is None or event["http_response_status_code"] is None
        streams = event["endpoint"] == "/v1/chat/stream"
        assert (event["time_to_first_token_seconds"] is not None) is (began and streams)
        assert event["user_id"].startswith("user-")
        assert event["gen_ai_provider_name"] == "stand-in"
        if event["error_type"] is None:
            assert event["gen_ai_usage_output_tokens"] >= 4


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
def test_prometheus_scrapes_what_was_answered(stack: Stack, tmp_path: Path, workers: int) -> None:
    """Its own check finds nothing to say, and its counts are the load's, of all processes."""
    options = ("--workers", str(workers)) if workers > 1 else ()
    variables = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")} if workers > 1 else {}
    (tmp_path / "metrics").mkdir()
    with (
        served(stack, tmp_path, *options, variables=variables) as url,
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
