"""ClickHouse's HTTP interface over the embedded engine: a thread a connection, HTTP/1.1."""

import json
import re
import socket
import socketserver
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from inferwatch.embedded.clickhouse_body import Body, decoded, received, spooled, too_large
from inferwatch.embedded.clickhouse_engine import Engine
from inferwatch.embedded.clickhouse_errors import (
    TOO_MANY_SIMULTANEOUS_QUERIES,
    UNKNOWN_EXCEPTION,
    ClickHouseError,
)
from inferwatch.embedded.clickhouse_request import parse_form, parse_request

_TEXT = "text/plain; charset=UTF-8"
_ILLEGAL = re.compile(r"[\x00-\x1f\x7f]")
_SEND_BYTES = 1 << 20
_DRAIN_SECONDS = 2.0


@dataclass(frozen=True)
class HttpSettings:
    """Limits of the HTTP interface.

    Attributes:
        spool: the folder for bodies on their way in.
        max_body_bytes: of a request, compressed as well as decompressed.
        max_connections: open at a time; one more is answered 503.
        client_timeout_seconds: how long a client may be silent, or not take what it is sent.
    """

    spool: Path
    max_body_bytes: int = 1 << 30
    max_connections: int = 512
    client_timeout_seconds: float = 120.0


class ClickHouseServer(socketserver.ThreadingTCPServer):
    """Listens for ClickHouse's HTTP clients; bound when made, listening after server_activate.

    Raises:
        OSError: the address cannot be bound.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: str, port: int, settings: HttpSettings) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler, bind_and_activate=False)
        self.settings = settings
        self.engine: Engine | None = None
        self._places = threading.BoundedSemaphore(settings.max_connections)
        self._running = 0
        self._stopping = False
        self._idle = threading.Condition()
        try:
            self.server_bind()
        except OSError:
            self.server_close()
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, or refuse it where there are too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        error = ClickHouseError(TOO_MANY_SIMULTANEOUS_QUERIES, "Too many connections.")
        text = f"{error}\n".encode()
        request.settimeout(1.0)
        request.sendall(
            b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
            b"X-ClickHouse-Exception-Code: %d\r\nContent-Length: %d\r\n\r\n%b"
            % (error.code, len(text), text)
        )
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """A client that went away is no error; anything else is told on stderr."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            traceback.print_exc()

    def begin(self) -> bool:
        """Count a request as running; False where the server is stopping."""
        with self._idle:
            self._running += not self._stopping
            return not self._stopping

    def end(self) -> None:
        """Count a request as answered."""
        with self._idle:
            self._running -= 1
            self._idle.notify_all()

    def stop(self, seconds: float) -> bool:
        """Begin no more requests; whether those that are running end within `seconds`."""
        self.shutdown()
        with self._idle:
            self._stopping = True
            return self._idle.wait_for(lambda: self._running == 0, seconds)


class _Handler(BaseHTTPRequestHandler):
    """One client's connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    error_content_type = _TEXT
    error_message_format = "%(code)d %(message)s\n"
    server: ClickHouseServer

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.settings.client_timeout_seconds)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: what goes wrong is told to the client."""

    def do_GET(self) -> None:
        """Answer a health check or a reading query."""
        self._serve()

    def do_HEAD(self) -> None:
        """Answer as GET does, without the body."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a query, with its body."""
        self._serve()

    def _serve(self) -> None:
        if not self.server.begin():
            self.close_connection = True
            return
        try:
            path = urlsplit(self.path).path
            if path != "/" and (
                self.headers.get("Content-Length", "0") != "0"
                or self.headers.get("Transfer-Encoding")
            ):
                self.close_connection = True  # the body stays unread
            if path in {"/ping", "/replicas_status"}:
                self._send(HTTPStatus.OK, {}, b"Ok.\n")
            elif path == "/":
                self._answer()
            else:
                text = f"There is no handle {path}\n\nUse / or /ping for health checks.\n"
                self._send(HTTPStatus.NOT_FOUND, {}, text.encode())
        finally:
            self.server.end()

    def _answer(self) -> None:
        engine = self.server.engine
        assert engine is not None  # noqa: S101 - set before the server listens
        headers = {
            "X-ClickHouse-Server-Display-Name": engine.host,
            "X-ClickHouse-Query-Id": str(uuid.uuid4()),
        }
        try:
            body, fields = self._body()
            request = parse_request(self.command, urlsplit(self.path).query, self.headers, fields)
            if request.query_id:
                headers["X-ClickHouse-Query-Id"] = request.query_id
            answer = engine.run(request, body)
        except ClickHouseError as error:
            self._refuse(error, headers, engine.version)
            return
        except (ConnectionError, TimeoutError):  # of the client
            raise
        except OSError as error:  # of the spool: the disk is full
            self._refuse(ClickHouseError(UNKNOWN_EXCEPTION, str(error)), headers, engine.version)
            return
        if answer.format is not None:
            headers["X-ClickHouse-Format"] = answer.format
        headers["X-ClickHouse-Timezone"] = request.settings.get("session_timezone", engine.timezone)
        headers["X-ClickHouse-Summary"] = json.dumps(answer.summary, separators=(",", ":"))
        headers["Content-Type"] = engine.content_types.get(answer.format or "", _TEXT)
        self._send(HTTPStatus.OK, headers, answer.body)

    def _refuse(self, error: ClickHouseError, headers: dict[str, str], version: str) -> None:
        headers["X-ClickHouse-Exception-Code"] = str(error.code)
        text = f"{error} (version {version} (chDB))\n".encode(errors="replace")
        self._send(error.status, headers, text)

    def _body(self) -> tuple[Body, dict[str, bytes]]:
        """The body, decompressed, and the fields of a form in its place."""
        settings = self.server.settings
        # Until the body is read whole, the next request cannot be found behind it.
        keep, self.close_connection = not self.close_connection, True
        raw = received(self.rfile, self.headers, settings.max_body_bytes)
        plain = decoded(raw, self.headers.get("Content-Encoding", ""))
        body = spooled(plain, settings.spool, settings.max_body_bytes)
        self.close_connection = not keep
        if self.headers.get_content_type() != "multipart/form-data":
            return body, {}
        if body.size > len(body.head):
            raise too_large(len(body.head))
        return Body(b"", 0, body.file), parse_form(self.headers["Content-Type"], body.head)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes | memoryview) -> None:
        """Answer in one send where it fits in one: a second would wait for an acknowledgement."""
        lines = {"Content-Type": _TEXT, **headers, "Content-Length": str(len(body))}
        if self.close_connection:
            lines["Connection"] = "close"
        else:
            lines["Connection"] = "Keep-Alive"
            lines["Keep-Alive"] = f"timeout={self.server.settings.client_timeout_seconds:.0f}"
        head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        # A client chooses its query id: it must not end the header.
        head += [f"{name}: {_ILLEGAL.sub('?', value)}" for name, value in lines.items()]
        start = "\r\n".join([*head, "", ""]).encode("latin-1", errors="replace")
        if self.command == "HEAD":
            body = b""
        self.connection.sendall(b"".join((start, body[:_SEND_BYTES])))
        # A timeout is for the whole of a sendall: in pieces, only a client that stalls meets it.
        for position in range(_SEND_BYTES, len(body), _SEND_BYTES):
            self.connection.sendall(body[position : position + _SEND_BYTES])
        if self.close_connection:
            self._drain()

    def _drain(self) -> None:
        """Take what the client is still sending: closing before would destroy the answer."""
        self.connection.shutdown(socket.SHUT_WR)
        end = time.monotonic() + _DRAIN_SECONDS
        self.connection.settimeout(_DRAIN_SECONDS)
        try:
            while time.monotonic() < end and self.connection.recv(_SEND_BYTES):
                pass
        except OSError:  # it has gone: nothing is left to take
            return
