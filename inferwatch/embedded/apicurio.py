"""A real schema registry without Docker: Apicurio from Maven Central, on Java 21."""

import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from inferwatch.embedded.errors import DownloadError, EmbeddedError
from inferwatch.embedded.java import find_java
from inferwatch.embedded.maven import fetched, run_maven
from inferwatch.embedded.processes import LOOPBACK, Child, free_port, require_free

APICURIO_VERSION = "3.3.3"

_NAME = "the Apicurio registry"
_JAVA_RELEASE = 21
_ARTIFACT = f"io.apicurio:apicurio-registry-app:{APICURIO_VERSION}:tar.gz:all"
_ARCHIVE = f"apicurio-registry-app-{APICURIO_VERSION}-all.tar.gz"
_CONFLUENT_PATH = "/apis/ccompat/v7"
_ANSWER_SECONDS = 2.0


def apicurio_application(cache: Path | None = None) -> Path:
    """Return the folder of the unpacked registry, fetching it on first use (about 160 MB).

    Args:
        cache: where fetched artifacts are kept; the user's cache by default.

    Raises:
        MissingProgramError: Maven is missing.
        DownloadError: the artifact cannot be fetched, unpacked or stored.
    """
    return fetched(f"apicurio-{APICURIO_VERSION}", _fetch, root=cache)


class Apicurio:
    """A schema registry that keeps everything in memory, on loopback, with Confluent's REST API.

    Use it as a context manager: on entry it is fetched if need be, started and awaited, on exit
    stopped. Like Confluent's own, it refuses a version that is not BACKWARD compatible.

    Args:
        log_dir: folder of its log, `apicurio.log`.
        port: loopback port to listen on; a free one by default.
        cache: where fetched artifacts are kept; the user's cache by default.
        start_seconds: how long it may take to be ready.
    """

    def __init__(
        self,
        log_dir: Path,
        *,
        port: int | None = None,
        cache: Path | None = None,
        start_seconds: float = 90,
    ) -> None:
        self._log = log_dir / "apicurio.log"
        self._port = port
        self._cache = cache
        self._start_seconds = start_seconds
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Where a client of Confluent's registry connects."""
        if self._port is None:
            raise EmbeddedError(f"{_NAME} was not started yet.")
        return f"http://{LOOPBACK}:{self._port}{_CONFLUENT_PATH}"

    def start(self) -> None:
        """Start the registry and wait until it answers.

        Raises:
            EmbeddedError: Java 21 or Maven missing, the artifact not to be had, port in use, or it
                did not start.
        """
        java = find_java(_JAVA_RELEASE)
        application = apicurio_application(self._cache)
        if self._port is None:
            self._port = free_port()
        require_free(self._port, name=_NAME)
        self._child = Child.start(
            [
                java,
                "-Xmx512m",
                f"-Dquarkus.http.host={LOOPBACK}",
                f"-Dquarkus.http.port={self._port}",
                f"-Dquarkus.management.host={LOOPBACK}",
                f"-Dquarkus.management.port={free_port()}",
                # Confluent's default; Apicurio's own is to accept everything.
                "-Dapicurio.rules.global.compatibility=BACKWARD",
                *("-jar", application / "quarkus-run.jar"),
            ],
            name=_NAME,
            log=self._log,
        )
        self._child.wait_ready(self._answers, self._start_seconds)

    def stop(self) -> None:
        """Stop the registry; its schemas are gone."""
        if self._child is not None:
            self._child.stop()

    def __enter__(self) -> Self:
        """Start the registry."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the registry."""
        self.stop()

    def _answers(self) -> bool:
        try:
            # The scheme is ours and the host is loopback.
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
                return bool(answer.status == 200)  # noqa: PLR2004 -- HTTP's OK
        except (urllib.error.URLError, OSError):
            return False


def _fetch(folder: Path) -> None:
    run_maven(
        ["dependency:copy", f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={folder}"],
        what=f"Apicurio registry {APICURIO_VERSION}",
    )
    archive = folder / _ARCHIVE
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        archive.unlink()
    except (OSError, tarfile.TarError) as error:
        raise DownloadError(f"{_ARCHIVE} cannot be unpacked: {error}.") from error
