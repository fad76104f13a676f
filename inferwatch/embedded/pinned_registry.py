"""A read-only schema registry over HTTP: pinned schema ids on Confluent's REST paths."""

import json
import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from inferwatch.embedded.errors import PortInUseError
from inferwatch.embedded.pinned_catalogue import PinnedCatalogue, PinnedSchema
from inferwatch.embedded.processes import LOOPBACK

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_IDLE_SECONDS = 60
_LARGEST_BODY = 4 * 1024 * 1024


class PinnedRegistryServer:
    """Serves pinned schemas on loopback from a thread of this process.

    What is pinned can be read, looked up and "registered" again, as with any registry; whatever
    would change it is refused.

    Args:
        schemas: what is pinned.
        port: loopback port to listen on; a free one by default.
    """

    def __init__(self, schemas: Sequence[PinnedSchema], port: int | None = None) -> None:
        self._catalogue = PinnedCatalogue(schemas)
        self._wanted_port = port or 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where clients connect, without a trailing slash; known while it runs."""
        port = self._server.server_address[1] if self._server else self._wanted_port
        return f"http://{LOOPBACK}:{port}"

    def start(self) -> None:
        """Listen and answer.

        Raises:
            PortInUseError: something else listens on the port.
        """
        handler = type("PinnedHandler", (_Handler,), {"catalogue": self._catalogue})
        try:
            self._server = ThreadingHTTPServer((LOOPBACK, self._wanted_port), handler)
        except (OSError, OverflowError) as error:
            raise PortInUseError(
                f"the schema registry cannot listen on {LOOPBACK}:{self._wanted_port} ({error}); "
                "stop what uses the port or choose another."
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one segment, else each answer waits for a delayed acknowledgement.
    wbufsize = -1
    timeout = _IDLE_SECONDS
    catalogue: PinnedCatalogue

    def _respond(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if length.isascii() and length.isdigit() and int(length) <= _LARGEST_BODY:
            body = self.rfile.read(int(length))
            status, answer = self.catalogue.answer(self.command, self.path, body)
        else:
            self.close_connection = True
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            answer = {"error_code": 413, "message": "The body is too large."}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", _MEDIA_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    # The names are BaseHTTPRequestHandler's.
    do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its signature
        """Say nothing: requests are no events of the command that serves them."""
