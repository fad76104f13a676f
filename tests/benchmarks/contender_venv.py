"""What contenders that are not of this project run with: .venv-bench, made by ``make bench``."""

import json
from pathlib import Path

from inferwatch_schemas import releases
from tests.benchmarks.measuring import REPOSITORY

PYTHON = REPOSITORY / ".venv-bench" / "bin" / "python"


def write_schema(folder: Path) -> Path:
    """Put the schema of the load where a program without this project can read it."""
    path = folder / "request.avsc"
    path.write_text(json.dumps(releases.latest("request").schema))
    return path
