"""kill -9 of a service loses its queue at most, and the next one tells how much that was."""

import os
import subprocess
import sys
from pathlib import Path

from pipeline import Stack, wait_until

PROGRAM = Path(__file__).parent / "killed.py"
RUNS = (
    (50, 300, "killed"),
    # Of this one nothing lands at all.
    (0, 7, "killed"),
    (5, 0, "ended"),
)


def run(stack: Stack, folder: Path, acknowledged: int, waiting: int, how: str) -> tuple[str, int]:
    """Run the service to its end; its producer id, and how many calls it made."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("INFERWATCH_")}
    ended = subprocess.run(  # noqa: S603  # our own program, no shell
        [
            sys.executable, str(PROGRAM), stack.kafka.bootstrap_servers,
            str(acknowledged), str(waiting), how,
        ],
        env=own | {"INFERWATCH_STATE_DIR": str(folder)},
        stdout=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == (-9 if how == "killed" else 0)
    producer_id, made = ended.stdout.split()
    return producer_id, int(made)


def test_what_a_killed_service_lost_is_counted_exactly(stack: Stack, tmp_path: Path) -> None:
    """Made, by the service's own word, is what landed and what is missing, of each producer."""
    made = dict(run(stack, tmp_path, *each) for each in RUNS)
    first, second, third = made
    with stack.worker("worker", "--only", "sink") as worker:
        found = wait_until(
            lambda: stack.query(
                "SELECT producer_id, sum(made), sum(landed), sum(missing) FROM producer_gaps "
                "WHERE topic = 'inferwatch.requests' GROUP BY producer_id"
            ),
            lambda found: sum(row[1] for row in found) == sum(made.values()),
            worker,
            seconds=60,
        )
        worker.stop()
    rows = dict(stack.query("SELECT producer_id, count() FROM requests GROUP BY producer_id"))
    landed = {producer_id: rows.get(producer_id, 0) for producer_id in made}
    assert {row[0]: row[1:] for row in found} == {
        producer_id: (count, landed[producer_id], count - landed[producer_id])
        for producer_id, count in made.items()
    }
    # What was acknowledged is not lost; some of what waited is, or this shows nothing.
    assert 50 <= landed[first] < 350
    assert landed[second] < 7
    assert landed[third] == 5
    assert list(tmp_path.iterdir()) == []
