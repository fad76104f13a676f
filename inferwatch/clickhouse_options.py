"""Options that say where ClickHouse is, for every command that reads or writes it."""

from typing import Annotated, Any

import typer

from inferwatch.options import From
from inferwatch_clickhouse.settings import ClickHouseSettings

_DEFAULTS = ClickHouseSettings()


def _option(name: str, about: str, metavar: str) -> Any:
    variable = name.removeprefix("--").replace("-", "_").upper()
    return typer.Option(
        name,
        help=about,
        rich_help_panel="ClickHouse; also from the variables INFERWATCH_CLICKHOUSE_URL, ...",
        envvar=f"INFERWATCH_{variable}",
        show_envvar=False,
        metavar=metavar,
    )


def clickhouse_settings(
    *,
    clickhouse_url: Annotated[
        str, _option("--clickhouse-url", "ClickHouse's HTTP interface.", "URL")
    ] = _DEFAULTS.url,
    clickhouse_database: Annotated[
        str, _option("--clickhouse-database", "Database of Inferwatch's tables.", "NAME")
    ] = _DEFAULTS.database,
    clickhouse_user: Annotated[
        str, _option("--clickhouse-user", "User name.", "NAME")
    ] = _DEFAULTS.user,
    clickhouse_password: Annotated[
        str,
        _option(
            "--clickhouse-password",
            "Password; better by its variable, as others see a command line.",
            "TEXT",
        ),
    ] = _DEFAULTS.password,
) -> ClickHouseSettings:
    """How to reach ClickHouse.

    Raises:
        ClickHouseSettingsError: A setting cannot be.
    """
    return ClickHouseSettings(
        url=clickhouse_url,
        database=clickhouse_database,
        user=clickhouse_user,
        password=clickhouse_password,
    )


ClickHouse = Annotated[ClickHouseSettings, From(clickhouse_settings)]
