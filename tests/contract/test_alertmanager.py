"""A real Alertmanager takes our alerts, shows them firing, and resolved."""

import asyncio
import json
import shutil
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline import wait_until

from inferwatch.embedded.processes import LOOPBACK, Child, accepts_connections, free_port
from inferwatch_streams.notifications.configuration import ChannelSettings, read_configuration
from inferwatch_streams.notifications.message import DELIVERED, Answer, Message, message_id
from inferwatch_streams.notifications.notice import RESOLVED, Notice
from inferwatch_streams.notifications.trial import notices

SECOND = 1_000_000


@contextmanager
def alertmanager(folder: Path) -> Iterator[str]:
    """Run one that tells nobody, and yield its address."""
    config = folder / "alertmanager.json"  # JSON is YAML
    config.write_text(json.dumps({"route": {"receiver": "none"}, "receivers": [{"name": "none"}]}))
    port = free_port()
    child = Child.start(
        [
            "prometheus-alertmanager", f"--config.file={config}", f"--storage.path={folder}",
            f"--web.listen-address={LOOPBACK}:{port}", "--cluster.listen-address=",
        ],
        name="Alertmanager", log=folder / "alertmanager.log",
    )  # fmt: skip
    with child:
        child.wait_ready(lambda: accepts_connections(port), 30)
        yield f"http://{LOOPBACK}:{port}"


def shown(address: str) -> dict[str, dict[str, Any]]:
    """The alerts that it has as firing, by the label that tells them apart."""
    with urllib.request.urlopen(f"{address}/api/v2/alerts?active=true", timeout=10) as answer:  # noqa: S310  # loopback
        return {one["labels"]["service"]: one for one in json.load(answer)}


def told(settings: ChannelSettings, *changes: Notice, active: tuple[Notice, ...]) -> Answer:
    """What it answers to a message of these changes."""
    message = Message(
        message_id=message_id(changes, 0), group="", notices=changes, active=active, repeat=0,
        deadline=0.0,
    )  # fmt: skip

    async def send() -> Answer:
        channel = settings.open()
        try:
            return await channel.send(message, settings.templates.words(message))
        finally:
            await channel.close()

    return asyncio.run(send())


@pytest.mark.external
@pytest.mark.skipif(
    not shutil.which("prometheus-alertmanager"), reason="Alertmanager is not installed"
)
def test_alertmanager_shows_what_fires_and_what_ended(tmp_path: Path) -> None:
    """With labels, annotations, begin and end; and takes as over what is not said again."""
    with alertmanager(tmp_path) as address:
        file = tmp_path / "n.yaml"
        file.write_text(
            f"channels: {{am: {{type: alertmanager, url: '{address}', resend_interval: 1s}}}}\n"
            "templates: {link: 'https://board.example/{{ id }}'}\n"
        )
        settings = read_configuration(file, {}).channels["am"]
        firing, over = notices("critical", time.time_ns() // 1000)
        other = replace(firing, notice_id="o", subject="o", labels=(("service", "other"),))
        assert told(settings, firing, other, active=(firing, other)).outcome == DELIVERED
        found = wait_until(lambda: shown(address), lambda found: len(found) == 2, seconds=10)
        alert = found["inferwatch-test"]
        assert alert["status"]["state"] == "active"
        assert alert["labels"] == {
            "alertname": "NotificationTest", "severity": "critical", "service": "inferwatch-test",
        }  # fmt: skip
        assert alert["annotations"]["summary"] == firing.title
        assert alert["generatorURL"] == f"https://board.example/{firing.subject}"
        assert over.state == RESOLVED
        assert told(settings, over, active=(other,)).outcome == DELIVERED
        wait_until(lambda: set(shown(address)), lambda found: found == {"other"}, seconds=10)
        # Nothing says the other again within four intervals.
        wait_until(lambda: shown(address), lambda found: not found, seconds=15)
