"""A small SMTP server for tests: one connection, replies as told."""

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class MailServer:
    """What it does and what it got.

    Attributes:
        replies: Its reply to a verb, in place of the usual one; an empty one closes the connection.
        context: With which STARTTLS begins TLS; without, it is not offered.
        verbs: All lines it got outside of messages.
        mails: All messages.
        port: Where it listens.
    """

    replies: dict[str, str] = field(default_factory=dict)
    context: ssl.SSLContext | None = None
    verbs: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    port: int = 0


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        told: MailServer = self.server.told  # type: ignore[attr-defined]  # set below
        usual = {
            "DATA": "354 go on",
            "STARTTLS": "220 go on",
            "QUIT": "221 bye",
            "AUTH": "235 you are",
        }
        usual["EHLO"] = "250-mail\r\n250-AUTH PLAIN\r\n" + (
            "250 STARTTLS" if told.context else "250 HELP"
        )
        self.wfile.write(f"{told.replies.get('CONNECT', '220 mail')}\r\n".encode())
        while line := self.rfile.readline():
            told.verbs.append(line.decode().strip())
            verb = line.decode().split()[0].upper()
            reply = told.replies.get(verb, usual.get(verb, "250 ok"))
            if not reply:
                return
            self.wfile.write(f"{reply}\r\n".encode())
            if verb == "STARTTLS" and told.context:
                self.connection = told.context.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = (
                    self.connection.makefile("rb"), self.connection.makefile("wb", 0)
                )  # fmt: skip
            if verb == "DATA" and reply.startswith("354"):
                data = b""
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    data += part
                told.mails.append(data)
                self.wfile.write(f"{told.replies.get('MAIL_END', '250 taken')}\r\n".encode())


@contextmanager
def mail_server(context: ssl.SSLContext | None = None, **replies: str) -> Iterator[MailServer]:
    """Run one on a free port."""
    told = MailServer(replies, context)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.told = told  # type: ignore[attr-defined]  # read above
        told.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
