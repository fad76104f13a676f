"""Migrations against ClickHouse: at once, half done, ahead, failing; and the client's errors."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from avro_rows import store

from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch_clickhouse import migrate
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.errors import (
    ClickHouseRefusedError,
    ClickHouseSettingsError,
    ClickHouseUnavailableError,
    MigrationError,
)
from inferwatch_clickhouse.settings import ClickHouseSettings


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    """Yield the settings of an embedded ClickHouse."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with EmbeddedClickHouse(folder / "data", folder) as running:
        yield ClickHouseSettings(url=running.url)


def test_two_workers_that_migrate_at_once_both_end_well(server: ClickHouseSettings) -> None:
    """Both return, each migration is recorded, and nothing is left to do."""
    settings = replace(server, database="at_once")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate.migrate, [settings] * 4))
    assert migrate.migrate(settings) == ()
    applied = migrate.applied_to(ClickHouse(settings))
    assert sorted(row.file for row in applied) == [m.file for m in migrate.available()]


def test_a_migration_that_broke_off_is_run_again(server: ClickHouseSettings) -> None:
    """Objects of a migration that was not recorded are no obstacle."""
    settings = replace(server, database="broken_off")
    everything = migrate.migrate(settings)
    clickhouse = ClickHouse(settings)
    clickhouse.command("TRUNCATE TABLE schema_migrations")
    clickhouse.command("DROP VIEW requests_1h")
    assert migrate.migrate(settings) == everything
    assert clickhouse.query("SELECT count() FROM requests_1h") == [(0,)]


def test_a_database_that_is_ahead_is_left_alone(server: ClickHouseSettings) -> None:
    """A newer version's migration is named, and the database stays as it is."""
    settings = replace(server, database="ahead")
    migrate.migrate(settings)
    ClickHouse(settings).command(
        "INSERT INTO schema_migrations (number, name, checksum) VALUES (999, 'newer', 'x')"
    )
    with pytest.raises(MigrationError, match=r"ahead of this version: it has 0999_newer\.sql"):
        migrate.migrate(settings)


def test_a_failing_statement_is_named(
    server: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """File and statement stand before ClickHouse's reason, and the migration is not recorded."""
    (tmp_path / "0001_good.sql").write_text("SELECT 1;\n", encoding="utf-8")
    (tmp_path / "0002_bad.sql").write_text("SELECT 1;\n\nSELECT nope;\n", encoding="utf-8")
    monkeypatch.setattr(migrate, "FOLDER", tmp_path)
    settings = replace(server, database="failing")
    with pytest.raises(
        MigrationError, match=r"0002_bad\.sql, statement 2: ClickHouse refuses \(code 47\)"
    ):
        migrate.migrate(settings)
    assert [row.number for row in migrate.applied_to(ClickHouse(settings))] == [1]


def test_a_database_that_was_never_migrated_is_refused(server: ClickHouseSettings) -> None:
    """The database is named, and trying again would not help."""
    with pytest.raises(ClickHouseRefusedError, match="never_made"):
        ClickHouse(replace(server, database="never_made")).query("SELECT 1")


def test_a_body_that_is_no_avro_is_refused(server: ClickHouseSettings) -> None:
    """What ClickHouse cannot parse is told apart from what it cannot take now."""
    settings = replace(server, database="bodies")
    migrate.migrate(settings)
    with pytest.raises(ClickHouseRefusedError, match="code"):
        ClickHouse(settings).insert_avro("exposures_stored", ["user_id"], [b"not Avro at all"])


def test_a_table_that_lacks_a_column_is_named(server: ClickHouseSettings) -> None:
    """A database of an older version is refused with what to run."""
    settings = replace(server, database="lacking")
    migrate.migrate(settings)
    with pytest.raises(ClickHouseRefusedError, match="lacks later; run: inferwatch migrate"):
        ClickHouse(settings).insert_avro("exposures_stored", ["user_id", "later"], [b""])


@pytest.fixture
def proxy(server: ClickHouseSettings) -> Iterator[str]:
    """Yield the address of what sends everybody to the server."""

    class Elsewhere(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Name the server."""
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(307)
            self.send_header("Location", server.url + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as running:
        running.daemon_threads = True
        running.block_on_close = False
        serving = threading.Thread(target=running.serve_forever, args=[0.01])
        serving.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        serving.join()


def test_an_insert_that_is_redirected_arrives_whole(server: ClickHouseSettings, proxy: str) -> None:
    """Its length was told, so the server would wait for what is not sent again."""
    settings = replace(server, database="redirected")
    migrate.migrate(settings)
    redirected = ClickHouse(replace(settings, url=proxy, answer_seconds=5))
    store(redirected, "exposure", [{"user_id": "u", "kafka_offset": offset} for offset in range(3)])
    redirected.close()
    assert ClickHouse(settings).query("SELECT count() FROM exposures_stored") == [(3,)]


def test_a_connection_is_made_again_after_clickhouse_was_away(tmp_path: Path) -> None:
    """The same client says unavailable while it is away, and works when it is back."""
    with EmbeddedClickHouse(tmp_path / "data", tmp_path) as running:
        clickhouse = ClickHouse(ClickHouseSettings(url=running.url), use_database=False)
        running.kill()
        for _ in range(2):
            with pytest.raises(ClickHouseUnavailableError, match="does not answer"):
                clickhouse.query("SELECT 1")
        running.restart()
        assert clickhouse.query("SELECT 1") == [(1,)]
        running.kill()
        with pytest.raises(ClickHouseUnavailableError, match="does not answer"):
            clickhouse.insert_avro("t", ["x"], [b""])
        running.restart()
        assert clickhouse.query("SELECT {x:String}", {"x": "it's"}) == [("it's",)]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"URL": "127.0.0.1:8123"}, "use http://HOST:PORT"),
        ({"URL": "http://127.0.0.1:notaport"}, "use http://HOST:PORT"),
        ({"URL": "http://me:secret@127.0.0.1:8123"}, "must not hold user and password"),
        ({"DATABASE": "in`ject"}, "letters, digits and underscores"),
        ({"USER": ""}, "user is empty"),
        ({"ANSWER_SECONDS": "soon"}, "must be a number of seconds"),
        ({"CONNECT_SECONDS": "0"}, "must be above 0"),
    ],
)
def test_settings_that_cannot_be_are_explained(environment: dict[str, str], message: str) -> None:
    """One sentence for each mistake, without the password."""
    named = {f"INFERWATCH_CLICKHOUSE_{name}": value for name, value in environment.items()}
    with pytest.raises(ClickHouseSettingsError, match=message) as told:
        ClickHouseSettings.from_environment(named)
    assert "secret" not in str(told.value)


def test_settings_survive_the_environment() -> None:
    """A child that reads the variables connects as its parent."""
    settings = ClickHouseSettings("https://ch:8443/proxy", "d", "u", "p", 1.5, 20)
    assert ClickHouseSettings.from_environment(settings.to_environment()) == settings
    assert "'p'" not in repr(settings)
