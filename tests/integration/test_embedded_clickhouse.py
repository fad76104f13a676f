"""The embedded ClickHouse as its clients see it, through clickhouse-connect and bare HTTP."""

import io
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_process import Server, start

TOPIC_IDS = ["AaIJKWbgfUOG5hlShvENsw", "-a_B-9", "0_starts-with_a_digit"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server shared by the tests of this module."""
    running = start(tmp_path_factory.mktemp("shared"), "--max-body-bytes", str(64 << 20))
    yield running
    assert running.end() == 0


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A client in a database of its own."""
    name = f"test_{time.monotonic_ns()}"
    server.client().command(f"CREATE DATABASE {name}")
    connected = server.client(database=name)
    yield connected
    connected.command(f"DROP DATABASE {name}")
    connected.close()


def test_query_with_parameters(client: Client) -> None:
    """Server-side parameters arrive unharmed, as values and as identifiers."""
    values = {"n": 7, "text": "it's\ta \\ \n 'line' ü", "list": ["a'b", "c\\d"]}
    rows = client.query("SELECT {n:UInt8} + 1, {text:String}, {list:Array(String)}", values)
    assert rows.result_rows == [(8, values["text"], values["list"])]
    long = "x" * 20_000
    assert client.query("SELECT {text:String}", {"text": long}).result_rows == [(long,)]
    assert client.query("SELECT 1 AS a LIMIT 0").column_names == ("a",)


def test_insert_rows(client: Client) -> None:
    """Rows inserted as columns are counted and come back equal, whatever the compression."""
    client.command("CREATE TABLE t (a UInt64, b LowCardinality(Nullable(String))) ORDER BY a")
    rows = [[1, "x"], [2, None], [2**63, "ü"]]
    assert client.insert("t", rows, column_names=["a", "b"]).written_rows == 3
    assert client.query("SELECT * FROM t ORDER BY a").result_rows == [tuple(row) for row in rows]
    for codec in ("zstd", "lz4", "gzip"):
        client.raw_insert("t", ["a"], _compress(codec, b"5\n6\n"), fmt="TSV", compression=codec)
    assert client.command("SELECT count() FROM t WHERE a IN (5, 6)") == 6


def _compress(codec: str, data: bytes) -> bytes:
    from clickhouse_connect.driver.compression import get_compressor  # noqa: PLC0415 - one test's

    compressor = get_compressor(codec)
    return bytes(compressor.compress_block(data)) + (compressor.flush() or b"")


def test_formats(client: Client) -> None:
    """What is read in a format can be inserted in it again."""
    client.command("CREATE TABLE t (a UInt64, b String) ORDER BY a")
    for name in ("Native", "Parquet", "Arrow", "CSV", "JSONEachRow", "RowBinary", "Avro", "ORC"):
        sent = client.raw_query(
            "SELECT number AS a, toString(number) AS b FROM numbers(9)", fmt=name
        )
        client.raw_insert("t", ["a", "b"], sent, fmt=name)
    totals = client.query("SELECT count(), uniqExact(a, b), sum(a) FROM t").result_rows
    assert totals == [(72, 9, 8 * 36)]


def test_avro(client: Client) -> None:
    """An Avro container loads: timestamps, arrays of records, unions and decimals."""
    client.command("""
        CREATE TABLE t (at DateTime64(6), items Array(Tuple(name String, n Int64)),
            model Nullable(String), cost Decimal(38, 12), n Int64,
            nested Nested(k String, v Float64)) ORDER BY at""")
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 12}
    schema = record(
        at={"type": "long", "logicalType": "timestamp-micros"},
        items={"type": "array", "items": record("Item", name="string", n="long")},
        model=["null", "string"],
        cost=decimal,
        n="int",
        nested={"type": "array", "items": record("Pair", k="string", v="double")},
    )
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    cost = Decimal("-12345678901234567890.123456789012")
    pairs = [{"k": "p", "v": 1.5}, {"k": "q", "v": -2.0}]
    rows: list[dict[str, Any]] = [
        {"at": at, "items": [{"name": "a", "n": 1}], "model": None, "cost": cost, "n": 5},
        {"at": at, "items": [], "model": "m", "cost": Decimal("1e-12"), "n": -1},
    ]
    rows[0]["nested"], rows[1]["nested"] = pairs, []
    client.raw_insert("t", None, avro(schema, rows), fmt="Avro")
    stored = client.query("SELECT toUnixTimestamp64Micro(at), * EXCEPT at FROM t ORDER BY n DESC")
    micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert stored.result_rows == [
        (micros, [{"name": "a", "n": 1}], None, cost, 5, ["p", "q"], [1.5, -2.0]),
        (micros, [], "m", Decimal("1e-12"), -1, [], []),
    ]


@pytest.mark.parametrize("topic", TOPIC_IDS)
def test_avro_enum_of_any_text(client: Client, topic: str) -> None:
    """An enum's symbol may be any text, such as a topic's id, and loads into a String."""
    client.command("CREATE TABLE t (topic LowCardinality(String), n Int64) ORDER BY n")
    placeholder = "x" * len(topic)
    enum = {"type": "enum", "name": "Topic", "symbols": [placeholder]}
    data = avro(record(topic=enum, n="long"), [{"topic": placeholder, "n": 1}])
    # fastavro refuses to write such a symbol, so its placeholder of the same length is replaced.
    client.raw_insert("t", None, data.replace(placeholder.encode(), topic.encode()), fmt="Avro")
    assert client.query("SELECT * FROM t").result_rows == [(topic, 1)]


def record(name: str = "Row", /, **fields: Any) -> dict[str, Any]:
    """An Avro record's schema."""
    listed = [{"name": field, "type": of} for field, of in fields.items()]
    return {"type": "record", "name": name, "fields": listed}


def avro(schema: dict[str, Any], rows: list[dict[str, Any]]) -> bytes:
    """An Avro object container."""
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(schema), rows)
    return file.getvalue()


def test_settings(client: Client) -> None:
    """A setting holds for its query alone, and what only a server's HTTP layer knows is taken."""
    settings = {"max_threads": 1, "async_insert": 1, "wait_end_of_query": 1}
    text = "SELECT toUInt8(getSetting('max_threads')), getSetting('async_insert')"
    assert client.query(text, settings=settings).result_rows == [(1, False)]
    assert client.query(text).result_rows != [(1, False)] or os.cpu_count() == 1
    with pytest.raises(DatabaseError, match="no_such_setting") as caught:
        client.query("SELECT 1", settings={"no_such_setting": 1})
    assert caught.value.code == 115


def test_errors_carry_their_code(client: Client) -> None:
    """A refusal reaches the client as DatabaseError with ClickHouse's code, and ends nothing."""
    for text, code in (("SELEC 1", 62), ("SELECT * FROM nosuch", 60), ("SELECT throwIf(1)", 395)):
        with pytest.raises(DatabaseError) as caught:
            client.query(text)
        assert caught.value.code == code
    client.command("CREATE TABLE t (a UInt8) ORDER BY a")
    with pytest.raises(DatabaseError) as caught:
        client.raw_insert("t", None, b"1\nnonsense\n", fmt="CSV")
    assert caught.value.code == 117
    assert client.command("SELECT count() FROM t") == 0


def test_commands(client: Client) -> None:
    """DDL answers with a summary, a statement with an answer answers with it."""
    assert client.command("CREATE TABLE t (a UInt8) ORDER BY a").query_id()
    assert client.command("EXISTS TABLE t") == 1
    assert client.command("SELECT a FROM t") == ""
    client.command("ALTER TABLE t ADD COLUMN b String DEFAULT 'x'")
    client.command("INSERT INTO t (a) VALUES (1), ({n:UInt8})", {"n": 2})
    assert client.query("SELECT a, b FROM t ORDER BY a").result_rows == [(1, "x"), (2, "x")]


def test_insert_from_input(client: Client) -> None:
    """INSERT ... SELECT ... FROM input(...) adds constants to the rows of the body."""
    client.command("CREATE TABLE t (partition UInt16, a UInt64, b String) ORDER BY a")
    text = "INSERT INTO t SELECT {p:UInt16}, * FROM input('a UInt64, b String') FORMAT CSV"
    assert client.command(text, {"p": 3}, data="1,x\n2,y\n").written_rows == 2
    assert client.query("SELECT * FROM t ORDER BY a").result_rows == [(3, 1, "x"), (3, 2, "y")]


def test_replacing_rows(client: Client) -> None:
    """FINAL over a ReplacingMergeTree and a view with parameters see the highest version."""
    client.command("CREATE TABLE t (k UInt8, v UInt64) ENGINE = ReplacingMergeTree(v) ORDER BY k")
    for version in (1, 3, 2):
        client.insert("t", [[1, version], [2, version * 10]])
    assert client.query("SELECT * FROM t FINAL ORDER BY k").result_rows == [(1, 3), (2, 30)]
    client.command("CREATE VIEW one AS SELECT v FROM t FINAL WHERE k = {k:UInt8}")
    assert client.command("SELECT v FROM one(k = 2)") == 30


def test_streaming_reads(client: Client) -> None:
    """A long answer can be read block by block."""
    with client.query_row_block_stream("SELECT number FROM numbers(300000)") as stream:
        sizes = [len(block) for block in stream]
    assert sum(sizes) == 300_000
    assert len(sizes) > 1


def test_sessions(server: Server) -> None:
    """A session keeps its settings and temporary tables, which no other session sees."""
    mine, other = server.client(), server.client()
    mine.command("CREATE TEMPORARY TABLE kept (a UInt8)")
    mine.command("SET max_threads = 1")
    mine.insert("kept", [[1], [2]])
    assert mine.query("SELECT count() FROM kept", settings={"max_threads": 2}).result_rows == [(2,)]
    assert mine.command("SELECT getSetting('max_threads')") == 1
    changed = {"max_threads": 2}
    assert mine.command("SELECT getSetting('max_threads')", settings=changed) == 2
    mine.command("SET max_threads = 3", settings=changed)
    assert mine.command("SELECT getSetting('max_threads')", settings=changed) == 2
    assert mine.command("SELECT getSetting('max_threads')") == 3
    with pytest.raises(DatabaseError) as caught:
        other.query("SELECT * FROM kept")
    assert caught.value.code == 60


def test_queries_overlap(server: Server) -> None:
    """A query begins while another one runs."""
    clients = [server.client(), server.client()]
    asked = "SELECT toUnixTimestamp64Milli(now64(3)) / 1000, sleep(3)"
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda client: client.query(asked).first_row, clients)
        (first, _), (second, _) = answers
    assert abs(first - second) < 3


def test_parallel_clients(client: Client, server: Server) -> None:
    """Eight clients insert and read at once, and every row is there once."""
    client.command("CREATE TABLE t (worker UInt8, n UInt32) ORDER BY (worker, n)")

    def work(worker: int) -> int:
        own = server.client(database=client.database)
        for start_at in range(0, 500, 100):
            own.insert("t", [[worker, n] for n in range(start_at, start_at + 100)])
        return int(
            own.query("SELECT count() FROM t WHERE worker = {w:UInt8}", {"w": worker}).first_row[0]
        )

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [500] * 8
    assert client.query("SELECT count(), uniqExact(worker, n) FROM t").result_rows == [(4000, 4000)]


def test_hung_client_blocks_nobody(server: Server) -> None:
    """Clients that never finish their request, or never read, leave the others alone."""
    with socket.create_connection(("127.0.0.1", server.port)) as hung:
        hung.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nSELECT")
        with socket.create_connection(("127.0.0.1", server.port)) as deaf:
            deaf.sendall(
                b"GET /?query=SELECT+number+FROM+numbers(5000000) HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            assert server.client().command("SELECT 1") == 1


def test_bodies_over_the_limit(server: Server) -> None:
    """A body over the limit is refused with 413, be it announced, chunked or compressed."""
    import zstandard  # noqa: PLC0415 - one test's

    large = 65 << 20
    squeezed = zstandard.compress(b"\0" * large)
    pieces = (b"\0" * (1 << 20) for _ in range(65))
    for body, extra in (
        (b"", {"Content-Length": str(large)}),
        (pieces, {}),
        (squeezed, {"Content-Encoding": "zstd"}),
    ):
        connection = server.http()
        connection.request("POST", "/?query=INSERT+INTO+t+FORMAT+TSV", body, extra)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (413, "307")
        connection.close()


def test_bare_http(server: Server) -> None:
    """Health checks, a connection that is kept, and GET that only reads."""
    connection = server.http()
    for path, body in (
        ("/ping", b"Ok.\n"),
        ("/replicas_status", b"Ok.\n"),
        ("/?query=SELECT+1", b"1\n"),
    ):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, body)
    connection.request("GET", "/?query=CREATE+TABLE+x+(a+UInt8)+ORDER+BY+a")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "164")
    assert answer.read().startswith(b"Code: 164. DB::Exception: ")
    connection.request("POST", "/?query_id=a%0d%0aInjected:1", b"SELECT 1 FORMAT JSONEachRow")
    answer = connection.getresponse()
    assert answer.read() == b'{"1":1}\n'
    assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert answer.headers["Injected"] is None
    connection.request("GET", "/nosuch")
    assert connection.getresponse().status == 404
    connection.close()
