"""Without a library that decompresses, a worker refuses to start, in one sentence.

It would otherwise die of the first batch that a producer compressed so, or wait for ever.
"""

import os
from pathlib import Path

import pytest
from arena import Arena
from pipeline import Worker, environment, wait_until

pytestmark = pytest.mark.chaos

BROKERS = ("embedded",)
# What pip must install, by the library that cannot be imported.
LIBRARIES = {"cramjam": "cramjam", "zstandard": "zstandard"}
# Python imports a module of this name at start, from wherever PYTHONPATH finds it first.
STARTUP = "sitecustomize.py"


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("role", ["aggregation", "sink"])
def test_refuses_to_start(arena: Arena, tmp_path: Path, library: str, role: str) -> None:
    """The worker ends and says what to install."""
    (tmp_path / STARTUP).write_text(f"import sys\nsys.modules[{library!r}] = None\n")
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    worker = Worker(
        f"without-{library}-{role}",
        tmp_path,
        environment(arena.stack.kafka, arena.stack.clickhouse)
        | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        ("--only", role),
    )
    with worker:
        wait_until(lambda: worker.alive, lambda alive: not alive, seconds=60)
    assert worker.said.startswith("inferwatch: "), worker.said
    assert worker.said.count("\n") == 1, worker.said
    assert f"pip install {LIBRARIES[library]}" in worker.said
