"""The embedded ClickHouse, with a migrated database for each test."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings


@pytest.fixture(scope="module")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    """Yield the embedded ClickHouse of a module."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with EmbeddedClickHouse(folder / "data", folder) as running:
        yield running


@pytest.fixture
def clickhouse_settings(
    clickhouse_server: EmbeddedClickHouse, request: pytest.FixtureRequest
) -> ClickHouseSettings:
    """Return where a migrated database of the test's own is."""
    database = "test_" + str(abs(hash(request.node.nodeid)))
    own = replace(ClickHouseSettings(url=clickhouse_server.url), database=database)
    migrate(own)
    return own


@pytest.fixture
def clickhouse(clickhouse_settings: ClickHouseSettings) -> ClickHouse:
    """Return a client of the test's own database."""
    return ClickHouse(clickhouse_settings)
