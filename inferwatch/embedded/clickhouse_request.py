"""A request to ClickHouse's HTTP interface (ClickHouse docs, interfaces/http), without its body."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

from inferwatch.embedded.clickhouse_errors import (
    AUTHENTICATION_FAILED,
    BAD_REQUEST_PARAMETER,
    NOT_IMPLEMENTED,
    ClickHouseError,
)

# They steer a server's HTTP layer, its asynchronous inserts or a cluster: an embedded engine that
# answers when the work is done, and uncompressed, already does what they ask for.
_WITHOUT_EFFECT = frozenset({
    "add_http_cors_header", "async_insert", "async_insert_busy_timeout_max_ms", "buffer_size",
    "cancel_http_readonly_queries_on_client_close", "client_protocol_version", "close_session",
    "enable_http_compression", "http_headers_progress_interval_ms",
    "http_write_exception_in_output_format", "http_zlib_compression_level", "quota_key", "role",
    "send_progress_in_http_headers", "session_check", "stacktrace", "wait_end_of_query",
    "wait_for_async_insert", "wait_for_async_insert_timeout",
})  # fmt: skip
_DEFAULT_SESSION_SECONDS = 60.0
_MAX_SESSION_SECONDS = 3600.0


@dataclass(frozen=True)
class Request:
    """What a request asks for, apart from its body.

    Attributes:
        query: the statement, or its beginning, from the URL.
        database: the database to use, None for the session's or `default`.
        default_format: the answer's format where the statement names none.
        settings: ClickHouse settings for this statement.
        parameters: server-side parameters, {name:Type} in the statement, in TSV escaping.
        session_id: the session to run in, None for a session of its own.
        session_seconds: how long that session is kept after this request.
        read_only: whether the method (GET) forbids changes.
    """

    query: bytes = b""
    database: str | None = None
    default_format: str = "TabSeparated"
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    query_id: str | None = None
    session_id: str | None = None
    session_seconds: float = _DEFAULT_SESSION_SECONDS
    read_only: bool = False


def parse_request(
    method: str, url_query: str, headers: Message, fields: Mapping[str, bytes]
) -> Request:
    """Read a request's URL, headers and the fields of a multipart form.

    Args:
        method: GET or POST.
        url_query: what follows the `?`, still encoded.
        headers: of the request; their names' case does not matter.
        fields: `query` and `param_*` sent as a form; they count as if they stood in the URL.

    Raises:
        ClickHouseError: the user is not `default`, the request comes from a web page, or it asks
            for what an embedded engine does not have.
    """
    values: dict[str, str] = dict(
        parse_qsl(url_query, keep_blank_values=True, errors="surrogateescape")
    )
    values.update({name: raw.decode(errors="surrogateescape") for name, raw in fields.items()})
    _refuse_web_pages(headers)
    _authenticate(values, headers)
    for name in ("compress", "decompress"):
        if values.pop(name, "0") not in {"0", "false", ""}:
            raise ClickHouseError(
                NOT_IMPLEMENTED,
                f"{name}=1 (ClickHouse's own block compression) is not supported by the embedded "
                "server: use Content-Encoding.",
            )
    query = values.pop("query", "").encode(errors="surrogateescape")
    header_format = headers.get("X-ClickHouse-Format")
    request = Request(
        query=query,
        database=values.pop("database", "") or headers.get("X-ClickHouse-Database"),
        default_format=values.pop("default_format", "") or header_format or "TabSeparated",
        query_id=values.pop("query_id", "") or None,
        session_id=values.pop("session_id", "") or None,
        session_seconds=_session_seconds(
            values.pop("session_timeout", str(_DEFAULT_SESSION_SECONDS))
        ),
        read_only=method == "GET",
        parameters={
            name.removeprefix("param_"): value
            for name, value in values.items()
            if name.startswith("param_")
        },
        settings={
            name: value
            for name, value in values.items()
            if not name.startswith("param_") and name not in _WITHOUT_EFFECT
        },
    )
    for name in (*request.settings, *request.parameters):
        if not name.isidentifier():
            raise ClickHouseError(
                BAD_REQUEST_PARAMETER, f"{name!r} is no name of a setting or a parameter."
            )
    return request


def parse_form(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a multipart/form-data body, by name.

    Raises:
        ClickHouseError: the form carries files (external tables), which are not supported.
    """
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body
    )
    fields: dict[str, bytes] = {}
    for part in message.iter_parts():
        if not isinstance(part, Message):
            continue
        if part.get_filename() is not None:
            raise ClickHouseError(
                NOT_IMPLEMENTED,
                "External tables are not supported by the embedded server: "
                "insert the rows into a table first.",
            )
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            fields[name] = payload
    return fields


def _session_seconds(text: str) -> float:
    try:
        return min(float(text), _MAX_SESSION_SECONDS)
    except ValueError:
        raise ClickHouseError(
            BAD_REQUEST_PARAMETER, f"session_timeout is a number of seconds, not {text!r}."
        ) from None


def _refuse_web_pages(headers: Message) -> None:
    """Keep a page in the user's browser from running SQL against the loopback port."""
    if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none":
        raise ClickHouseError(
            AUTHENTICATION_FAILED,
            "Requests from web pages are refused: the embedded server has no password.",
        )


def _authenticate(values: dict[str, str], headers: Message) -> None:
    user = values.pop("user", "") or headers.get("X-ClickHouse-User")
    password = values.pop("password", "") or headers.get("X-ClickHouse-Key")
    authorization = headers.get("Authorization")
    if not user and authorization is not None:
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() != "basic":
            raise ClickHouseError(
                AUTHENTICATION_FAILED, "Only Basic authorization is supported, as user default."
            )
        try:
            user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise ClickHouseError(
                AUTHENTICATION_FAILED, "The Basic authorization cannot be decoded."
            ) from None
    if (user or "default") != "default" or password:
        raise ClickHouseError(
            AUTHENTICATION_FAILED,
            f"{user or 'default'}: Authentication failed: the embedded server knows only the user "
            "default, without a password.",
        )
