"""``inferwatch migrate``: bring ClickHouse's tables and views to this version's."""

import typer

from inferwatch import options
from inferwatch_clickhouse import migrate as migrations


@options.expanded
def migrate(*, clickhouse: options.ClickHouse) -> None:
    """Create or update the tables and views in ClickHouse; running it again changes nothing.

    Refuses a database that a newer version has migrated.
    """
    applied = migrations.migrate(clickhouse)
    for migration in applied:
        typer.echo(f"applied {migration.file}")
    if not applied:
        typer.echo(f"Database {clickhouse.database} is up to date.")
