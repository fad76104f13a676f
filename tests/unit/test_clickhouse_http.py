"""The pure parts of the embedded ClickHouse: statements, requests, bodies, errors."""

import base64
import gzip
import io
import zlib
from collections.abc import Callable
from email.message import Message
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.embedded.clickhouse_body import HEAD_BYTES, decoded, received, spooled
from inferwatch.embedded.clickhouse_errors import ClickHouseError, from_engine
from inferwatch.embedded.clickhouse_request import Request, parse_form, parse_request
from inferwatch.embedded.clickhouse_sql import Insert, Query, parse_statement

FORMATS = ("Avro", "CSV", "JSONEachRow", "Native", "TabSeparated", "TSV", "Values")
CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
}


def insert(text: bytes) -> Insert:
    """The text, which has to be an INSERT with rows."""
    statement = parse_statement(text, FORMATS)
    assert isinstance(statement, Insert)
    return statement


def query(text: bytes) -> Query:
    """The text, which has to be complete in itself."""
    statement = parse_statement(text, FORMATS)
    assert isinstance(statement, Query)
    return statement


def headers(**values: str) -> Message:
    """Request headers; underscores stand for hyphens."""
    message = Message()
    for name, value in values.items():
        message[name.replace("_", "-")] = value
    return message


def request(url: str = "", method: str = "POST", **values: str) -> Request:
    """A request without a form."""
    return parse_request(method, url, headers(**values), {})


def code(call: Callable[[], object]) -> int:
    """The code of the ClickHouseError that the call raises."""
    with pytest.raises(ClickHouseError) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize(
    ("text", "sql", "name", "rows"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2", b"INSERT INTO t ", "CSV", b"1,2"),
        (b"insert into t format csv 1,2", b"insert into t ", "CSV", b"1,2"),
        (b"INSERT INTO t FORMAT CSV  \r\n\n1", b"INSERT INTO t ", "CSV", b"\n1"),
        (b"INSERT INTO t VALUES (1)", b"INSERT INTO t ", "Values", b" (1)"),
        (b"INSERT INTO values (a) VALUES(1)", b"INSERT INTO values (a) ", "Values", b"(1)"),
        (b"INSERT INTO format FORMAT TSV\n1", b"INSERT INTO format ", "TSV", b"1"),
        (b"INSERT INTO d.`FORMAT x` (`VALUES`) FORMAT TSV\n", None, "TSV", b""),
        (b"/* VALUES */ INSERT INTO t -- FORMAT CSV\n FORMAT TSV\n1", None, "TSV", b"1"),
        (b"INSERT INTO t SETTINGS a='FORMAT CSV' FORMAT TSV\n1", None, "TSV", b"1"),
        (b"INSERT INTO TABLE FUNCTION file('x') FORMAT TSV\n1", None, "TSV", b"1"),
    ],
)
def test_rows_of_an_insert(text: bytes, sql: bytes | None, name: str, rows: bytes) -> None:
    """The statement, the format and the first byte of the rows are told apart."""
    found = insert(text)
    assert (found.format, text[found.data_start :]) == (name, rows)
    assert sql is None or found.sql == sql


@given(st.binary(max_size=200))
def test_rows_are_never_read_as_sql(rows: bytes) -> None:
    """Whatever the rows are, the statement before them is read the same."""
    statement = b"INSERT INTO t (a, b) FORMAT Native\n"
    found = insert(statement + rows)
    assert (found.sql, found.data_start) == (b"INSERT INTO t (a, b) ", len(statement))


def test_input_is_read_from_a_file() -> None:
    """In INSERT ... SELECT ... FROM input(...) the rows come from the spooled file."""
    text = b"INSERT INTO t SELECT format, 'input(' FROM input('format UInt8') FORMAT CSV\n1"
    found = insert(text)
    assert text[found.data_start :] == b"1"
    assert found.reading("/s'p") == (
        b"INSERT INTO t SELECT format, 'input(' FROM file('/s\\'p', 'CSV', 'format UInt8') "
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", 62),
        (b" -- nothing\n", 62),
        (b"SELECT 1; SELECT 2", 62),
        (b"INSERT INTO t SELECT 1; DROP TABLE t", 62),
        (b"INSERT INTO t SELECT * FROM input() FORMAT CSV\n", 62),
        (b"INSERT INTO t SELECT * FROM input('a UInt8')", 62),
        (b"INSERT", 62),
        (b"INSERT INTO t FORMAT Nosuch\n1", 73),
        (b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", 78),
        (b"SELECT 1 INTO OUTFILE '/tmp/x'", 358),
    ],
)
def test_refused_statements(text: bytes, expected: int) -> None:
    """What ClickHouse refuses over HTTP is refused with its code."""
    assert code(lambda: parse_statement(text, FORMATS)) == expected


@pytest.mark.parametrize(
    ("text", "name", "answers", "reads_only"),
    [
        (b"SELECT 1", None, True, True),
        (b"SELECT 1;;", None, True, True),
        (b"SELECT format, 'FORMAT TSV' FROM t FORMAT csv SETTINGS a = 1", "CSV", True, True),
        (b"(SELECT 1 FORMAT CSV)", None, True, True),
        (b"WITH 1 AS x SELECT insert('a', 1, 1, 'b')", None, True, True),
        (b"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", None, False, False),
        (b"INSERT INTO t SELECT * FROM s", None, False, False),
        (b"CREATE TABLE t (a UInt8) ENGINE = Memory", None, False, False),
        (b"KILL QUERY WHERE 1", None, True, False),
    ],
)
def test_queries(text: bytes, name: str | None, answers: bool, reads_only: bool) -> None:  # noqa: FBT001 - a table's columns
    """Format, whether there is an answer and whether it may change something are known."""
    found = query(text)
    assert (found.format, found.answers, found.reads_only) == (name, answers, reads_only)


def test_request_url() -> None:
    """The URL's statement, parameters, settings and HTTP-only names are told apart."""
    found = request(
        "query=SELECT%201&database=d&param_x=a%5Ctb&max_threads=2&wait_end_of_query=1"
        "&async_insert=1&session_id=s&session_timeout=5&query_id=q&default_format=CSV"
    )
    assert found == Request(
        query=b"SELECT 1",
        database="d",
        default_format="CSV",
        settings={"max_threads": "2"},
        parameters={"x": "a\\tb"},
        query_id="q",
        session_id="s",
        session_seconds=5.0,
    )
    assert request(method="GET").read_only


def test_request_form() -> None:
    """A form's fields count as if they stood in the URL, and their bytes come through."""
    content_type = "multipart/form-data; boundary=B"
    body = (
        b'--B\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT {x:String}\r\n'
        b'--B\r\nContent-Disposition: form-data; name="param_x"\r\n\r\n\xc3\xa4\n b\r\n--B--\r\n'
    )
    fields = parse_form(content_type, body)
    found = parse_request("POST", "", headers(), fields)
    assert (found.query, found.parameters) == (b"SELECT {x:String}", {"x": "ä\n b"})
    assert (
        code(lambda: parse_form(content_type, body.replace(b'"query"', b'"q"; filename="f"'))) == 48
    )


@pytest.mark.parametrize(
    ("url", "values", "expected"),
    [
        ("user=bob", {}, 516),
        ("password=x", {}, 516),
        ("", {"X_ClickHouse_User": "bob"}, 516),
        ("", {"X_ClickHouse_Key": "x"}, 516),
        ("", {"Authorization": "Bearer x"}, 516),
        ("", {"Authorization": "Basic !"}, 516),
        ("", {"Authorization": "Basic " + base64.b64encode(b"default:x").decode()}, 516),
        ("", {"Origin": "http://elsewhere"}, 516),
        ("", {"Sec_Fetch_Site": "cross-site"}, 516),
        ("decompress=1", {}, 48),
        ("a%20b=1", {}, 36),
        ("session_timeout=soon&session_id=s", {}, 36),
    ],
)
def test_refused_requests(url: str, values: dict[str, str], expected: int) -> None:
    """Other users, web pages and what the embedded server lacks are refused with a code."""
    assert code(lambda: request(url, **values)) == expected


def test_default_user() -> None:
    """The default user without a password is let in by every way of naming it."""
    basic = "Basic " + base64.b64encode(b"default:").decode()
    assert request("user=default&password=") == Request()
    assert request(Authorization=basic) == Request()
    assert request(X_ClickHouse_User="default", X_ClickHouse_Key="") == Request()


@given(
    st.sampled_from(sorted(CODECS)),
    st.lists(st.binary(min_size=1, max_size=5000), min_size=1, max_size=4),
    st.integers(1, 6000),
)
def test_decoding(name: str, parts: list[bytes], step: int) -> None:
    """Parts compressed one by one come back joined, however the network cuts them."""
    sent = b"".join(CODECS[name](part) for part in parts)
    chunks = [sent[start : start + step] for start in range(0, len(sent), step)]
    assert b"".join(decoded(chunks, name)) == b"".join(parts)


@pytest.mark.parametrize("name", sorted(CODECS))
def test_damaged_encodings(name: str) -> None:
    """Truncated or foreign data is refused, never taken for a shorter body."""
    sent = CODECS[name](bytes(range(256)) * 100)
    assert code(lambda: list(decoded([sent[:-9]], name))) == 271
    assert code(lambda: list(decoded([b"plain text, nothing else"], name))) == 271
    assert code(lambda: list(decoded([sent, b"plain text"], name))) == 271


def test_unknown_encoding() -> None:
    """An encoding the server lacks is refused as not implemented."""
    assert code(lambda: list(decoded([b"x"], "br"))) == 48


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_chunked_bodies(parts: list[bytes]) -> None:
    """A chunked body comes back whole, and the next request stays where it is."""
    wire = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in parts)
    source = io.BytesIO(wire + b"0\r\nTrailer: x\r\n\r\nGET /")
    found = b"".join(received(source, headers(Transfer_Encoding="chunked"), 1 << 20))
    assert (found, source.read()) == (b"".join(parts), b"GET /")


@pytest.mark.parametrize(
    ("wire", "values", "expected"),
    [
        (b"abc", {"Content_Length": "4"}, 33),
        (b"abc", {"Content_Length": "-1"}, 33),
        (b"abc", {"Content_Length": "101"}, 307),
        (b"zz\r\nabc\r\n0\r\n\r\n", {"Transfer_Encoding": "chunked"}, 33),
        (b"3\r\nabcd\r\n0\r\n\r\n", {"Transfer_Encoding": "chunked"}, 33),
        (b"-3\r\nabc\r\n", {"Transfer_Encoding": "chunked"}, 33),
        (b"", {"Transfer_Encoding": "chunked"}, 33),
    ],
)
def test_refused_bodies(wire: bytes, values: dict[str, str], expected: int) -> None:
    """A body that is too long, malformed or cut off is refused."""
    assert code(lambda: list(received(io.BytesIO(wire), headers(**values), 100))) == expected


def test_spooled_bodies(tmp_path: Path) -> None:
    """A long body is given back from any byte on, and one over the limit is refused."""
    data = bytes(range(256)) * (HEAD_BYTES // 128)
    body = spooled([data[:1000], data[1000:]], tmp_path, len(data))
    assert (body.head, body.size) == (data[:HEAD_BYTES], len(data))
    for start in (0, 1, HEAD_BYTES, HEAD_BYTES + 7, len(data)):
        assert b"".join(body.pieces(start)) == data[start:]
    assert code(lambda: spooled([data], tmp_path, len(data) - 1)) == 307


def test_errors_of_the_engine() -> None:
    """The engine's text becomes a code, a status and ClickHouse's wording."""
    error = from_engine(
        RuntimeError("Code: 60. DB::Exception: Table t does not exist. (version 1.2)")
    )
    assert (error.code, error.status) == (60, 404)
    assert str(error) == "Code: 60. DB::Exception: Table t does not exist."
    assert (from_engine(RuntimeError("odd")).code, ClickHouseError(241, "").status) == (1002, 500)
