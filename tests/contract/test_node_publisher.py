"""The program for Node.js in docs/publishing.md, run as the page says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pipeline import Stack, wait_until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
SECONDS = 100

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(
        not all(map(shutil.which, ("node", "npm"))), reason="Node.js or npm is not installed"
    ),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page's program, beside the packages that the page names."""
    folder = tmp_path_factory.mktemp("node")
    (code,) = re.findall(r"```javascript\n(.*?)```", PAGE, flags=re.DOTALL)
    (install,) = re.findall(r"`npm (install [^`]+)`", PAGE)
    subprocess.run(  # noqa: S603  # a command of our own page, no shell
        ["npm", *install.split(), "--no-audit", "--no-fund"],  # noqa: S607  # where the PATH has it
        cwd=folder, timeout=SECONDS, check=True, capture_output=True,
    )  # fmt: skip
    (folder / "publish.js").write_text(code)
    return folder / "publish.js"


def test_its_event_lands(stack: Stack, program: Path) -> None:
    """By the pinned id alone, without a registry, with the fields that it was given."""
    subprocess.run(  # noqa: S603  # the program of our own page, no shell
        ["node", str(program), stack.kafka.bootstrap_servers],  # noqa: S607  # as above
        cwd=ROOT, timeout=SECONDS, check=True,
    )  # fmt: skip
    with stack.worker("worker", "--only", "sink") as worker:
        wait_until(
            lambda: stack.query(
                "SELECT event_id, producer_id, sequence, service, model, duration_seconds, "
                "gen_ai_usage_input_tokens, gen_ai_usage_output_tokens, "
                "abs(dateDiff('second', event_time, now64())) < 300 FROM requests"
            ),
            lambda found: (
                found == [("web-7-0", "web-7", 0, "search", "gpt-4.1-mini", 0.84, 512, 128, True)]
            ),
            worker,
            seconds=60,
        )
        assert stack.query("SELECT count() FROM dead_letters") == [(0,)]
        worker.stop()
