"""Fetching a server's artifacts from Maven Central, once, into the user's cache."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from inferwatch.embedded.errors import DownloadError, MissingProgramError

_DOWNLOAD_SECONDS = 900


def cache_root() -> Path:
    """Return the folder of everything fetched: `inferwatch` in the XDG cache directory."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "inferwatch"


def fetched(name: str, fill: Callable[[Path], None], *, root: Path | None = None) -> Path:
    """Return a cached folder, filling it first where it does not exist yet.

    It is filled under another name and then renamed, so that a folder that exists is complete:
    an interrupted download never counts, and of two at once the first one stays.

    Args:
        name: the folder's name, with the version of what it holds.
        fill: puts the artifacts into the given, empty folder.
        root: parent of the folder; `cache_root()` by default.

    Raises:
        DownloadError: `fill` failed, or the cache cannot be written.
    """
    parent = root or cache_root()
    target = parent / name
    if target.is_dir():
        return target
    try:
        parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
    except OSError as error:
        raise DownloadError(f"the cache {parent} cannot be written: {error.strerror}.") from error
    try:
        fill(partial)
        if not target.is_dir():
            partial.rename(target)
    except OSError as error:
        if not target.is_dir():
            raise DownloadError(f"{name} cannot be stored in {parent}: {error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def run_maven(arguments: Sequence[str], *, what: str) -> None:
    """Run Maven in batch mode.

    Args:
        arguments: goals and properties.
        what: what is being fetched, for messages.

    Raises:
        MissingProgramError: `mvn` is not on the PATH.
        DownloadError: Maven failed, or took more than a quarter of an hour.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingProgramError(f"Maven is needed to fetch {what}: put `mvn` on the PATH.")
    try:
        done = subprocess.run(  # noqa: S603 -- Maven from the PATH, no shell
            [maven, "--batch-mode", "--quiet", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DownloadError(
            f"{what} could not be fetched within {_DOWNLOAD_SECONDS} s; try again."
        ) from error
    except OSError as error:
        raise MissingProgramError(f"{maven} cannot be run: {error.strerror}.") from error
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        reason = next((line for line in lines if "ERROR" in line), "it gave no reason")
        raise DownloadError(
            f"Maven could not fetch {what}; check the network and Maven's settings. "
            f"It said: {reason.strip()}"
        )
