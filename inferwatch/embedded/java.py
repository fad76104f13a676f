"""Finding a Java runtime that is new enough."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from inferwatch.embedded.errors import MissingProgramError

_ANSWER_SECONDS = 20
_VERSION = re.compile(r'version "(\d+)')
_INSTALLED = (
    (Path("/usr/lib/jvm"), "*/bin/java"),
    (Path("/Library/Java/JavaVirtualMachines"), "*/Contents/Home/bin/java"),
)


def find_java(minimum: int) -> Path:
    """Return the first `java` of at least the given feature release.

    Looked at, in this order: `$JAVA_HOME`, the PATH, and where systems install Java.

    Args:
        minimum: feature release, such as 17.

    Raises:
        MissingProgramError: there is none, or all are older.
    """
    found = []
    for program in _candidates():
        release = _release(program)
        if release is not None and release >= minimum:
            return program
        found.append(f"{program} ({'does not run' if release is None else release})")
    raise MissingProgramError(
        f"Java {minimum} or newer is needed: install one or point JAVA_HOME at it; "
        f"found {', '.join(found) or 'none'}."
    )


def _candidates() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield Path(home, "bin", "java")
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)
    for folder, pattern in _INSTALLED:
        yield from sorted(folder.glob(pattern))


def _release(program: Path) -> int | None:
    try:
        answer = subprocess.run(  # noqa: S603 -- a program found on this machine, no shell
            [program, "-version"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = _VERSION.search(answer.stderr)
    return int(version[1]) if version else None
