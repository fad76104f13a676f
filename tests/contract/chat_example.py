"""The example service of examples/, run as its README says, and its load."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from inferwatch.embedded.processes import LOOPBACK, Child, accepts_connections, free_port
from inferwatch_schemas.kafka import KafkaSettings

FOLDER = Path(__file__).parents[2] / "examples" / "chat_service"
SERVICE = "chat-example"


@contextmanager
def served(
    kafka: KafkaSettings, folder: Path, *options: str, variables: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run the service, and yield its address; it ends with SIGTERM, as a server does.

    Args:
        kafka: The broker it uses.
        folder: For its log and what it keeps.
        options: Of uvicorn.
        variables: Added to its environment.
    """
    port = free_port()
    child = Child.start(
        [
            sys.executable, "-m", "uvicorn", "--app-dir", FOLDER, "service:app",
            "--port", str(port), *options,
        ],
        name="the example service", log=folder / "service.log",
        env=kafka.to_environment() | {"INFERWATCH_STATE_DIR": str(folder)}
        | dict(variables or {}),
    )  # fmt: skip
    with child:
        child.wait_ready(lambda: accepts_connections(port), 30)
        yield f"http://{LOOPBACK}:{port}"


def drive(url: str, requests: int) -> dict[str, int]:
    """Send so many requests; answers by status."""
    done = subprocess.run(  # noqa: S603  # our own program, no shell
        [
            sys.executable, str(FOLDER / "load.py"),
            "--url", url, "--rate", "100", "--requests", str(requests),
        ],
        env=os.environ, stdout=subprocess.PIPE, text=True, timeout=60, check=True,
    )  # fmt: skip
    statuses: dict[str, int] = json.loads(done.stdout)
    assert sum(statuses.values()) == requests
    return statuses


def get(url: str) -> bytes:
    """What is served at an address."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # of a server of ours
        content: bytes = answer.read()
    return content
