"""Writes down what NVML answers, to be replayed where there is no GPU.

A recording is JSON lines. The first has ``recorded`` (when) and ``pseudonyms``; each further one is
a call: ``at`` (seconds since the first), ``call``, ``arguments``, and ``result`` or ``error``
(NVML's code) with ``text``. Waits for events that ended without one are left out.
"""

from __future__ import annotations

import json
import re
import threading
import time
from typing import IO, TYPE_CHECKING, Any, Final

import structlog

from inferwatch_agents.host.nvml import Nvml, NvmlError
from inferwatch_agents.host.nvml_constants import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT: Final = "nvmlEventSetWait_v2"
IDENTITY: Final = re.compile(r"(GPU|MIG)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

log = structlog.get_logger()


class NvmlRecorder:
    """Passes calls on, and writes each with its answer; for any number of threads."""

    def __init__(
        self,
        nvml: Nvml,
        file: IO[str],
        *,
        pseudonyms: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Write the first line.

        Args:
            nvml: What is called.
            file: Takes the lines.
            pseudonyms: Numbers stand for the UUIDs; all else is kept.
            monotonic: Clock in seconds.
            wall: Seconds since 1970.

        Raises:
            OSError: The file cannot be written to.
        """
        self._nvml = nvml
        self._file: IO[str] | None = file
        self._monotonic = monotonic
        self._began = monotonic()
        self._lock = threading.Lock()
        self._pseudonyms: dict[str, str] | None = {} if pseudonyms else None
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall()))
        file.write(json.dumps({"recorded": began, "pseudonyms": pseudonyms}) + "\n")
        file.flush()

    def __call__(self, function: str, *arguments: Any) -> Any:
        """See ``Nvml``."""
        try:
            result = self._nvml(function, *arguments)
        except NvmlError as error:
            if (function, error.code) != (WAIT, Failure.NVML_ERROR_TIMEOUT):
                self._write(function, arguments, {"error": error.code, "text": str(error)})
            raise
        self._write(function, arguments, {"result": result})
        return result

    def _write(self, function: str, arguments: tuple[Any, ...], answer: dict[str, Any]) -> None:
        with self._lock:
            if self._file is None:
                return
            at = round(self._monotonic() - self._began, 6)
            line = json.dumps({"at": at, "call": function, "arguments": arguments, **answer})
            if self._pseudonyms is not None:
                line = IDENTITY.sub(self._pseudonym, line)
            try:
                self._file.write(line + "\n")
                self._file.flush()
            except (OSError, ValueError) as error:
                # Of a full disk, or of a file that was closed under a thread that hung.
                self._file = None
                log.warning("the recording ends", reason=str(error))

    def _pseudonym(self, found: re.Match[str]) -> str:
        known = self._pseudonyms if self._pseudonyms is not None else {}
        number = len(known) + 1
        return known.setdefault(found[0], f"{found[1]}-00000000-0000-0000-0000-{number:012d}")
