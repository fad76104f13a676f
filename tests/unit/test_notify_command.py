"""``inferwatch notify``: the schema, checking a file, and trying a channel."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from inferwatch.main import app
from inferwatch_streams.notifications.file_schema import FILE_SCHEMA
from inferwatch_streams.notifications.settings import NotificationsSettings

FILE = """
channels:
  ops: {type: slack, webhook_url: {env: HOOK}}
  gone: {type: alertmanager, url: "http://127.0.0.1:1"}
routes: [{channels: [ops]}]
"""


@pytest.fixture
def hook() -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a Slack that takes all, and the titles it got."""
    titles: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            titles.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hush", titles
        server.shutdown()


def run(folder: Path, *arguments: str, hook: str = "http://127.0.0.1:1/hush") -> Result:
    """Run a command with the file in the environment."""
    path = folder / "n.yaml"
    path.write_text(FILE, encoding="utf-8")
    variables = {"INFERWATCH_NOTIFICATIONS_FILE": str(path), "HOOK": hook}
    done = CliRunner().invoke(app, ["notify", *arguments], env=variables)
    assert "hush" not in f"{done.output} {done.exception!r}"
    return done


def test_a_channel_is_told_of_a_test(tmp_path: Path, hook: tuple[str, list[str]]) -> None:
    """That it fires and that it is over, with what the channel answered."""
    address, titles = hook
    done = run(tmp_path, "test", "ops", "--severity", "critical", hook=address)
    assert (done.exit_code, done.stdout.splitlines()) == (
        0, ["firing: delivered, 200: ok", "resolved: delivered, 200: ok"],
    )  # fmt: skip
    assert titles == [
        "[FIRING] critical: This is a test of Inferwatch's notifications",
        "[RESOLVED] critical: This is a test of Inferwatch's notifications",
    ]


def test_a_channel_that_is_not_told_fails_the_command(tmp_path: Path) -> None:
    """With the reason."""
    done = run(tmp_path, "test", "gone")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[0].startswith("firing: failed, connection: ")


def test_what_is_asked_wrongly_is_told(tmp_path: Path) -> None:
    """In one sentence."""
    assert "has no channel 'nope'; there are: ops, gone." in str(
        run(tmp_path, "test", "nope").exception
    )
    assert "'awful' is no severity" in str(
        run(tmp_path, "test", "ops", "--severity", "awful").exception
    )
    assert "the variable HOOK is not set" in str(run(tmp_path, "check", hook="").exception)


def test_a_sound_file_is_shown(tmp_path: Path) -> None:
    """Its channels and what leads to them; and the schema is for editors."""
    done = run(tmp_path, "check")
    assert done.exit_code == 0
    assert "60 in 60 s" in done.stdout
    assert "routes[0], incidents" in done.stdout
    assert json.loads(run(tmp_path, "schema").stdout) == FILE_SCHEMA


def test_settings_come_from_the_environment() -> None:
    """Without a file nobody is told."""
    assert NotificationsSettings.from_environment({}).file is None
    given = {
        "INFERWATCH_NOTIFICATIONS_FILE": "n.yaml",
        "INFERWATCH_NOTIFICATIONS_STALL_SECONDS": "5",
    }
    found = NotificationsSettings.from_environment(given)
    assert (found.file, found.stall_seconds) == (Path("n.yaml"), 5.0)
