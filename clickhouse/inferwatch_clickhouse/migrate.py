"""Numbered migrations: from any earlier state of the database to this version's, never back.

``migrations/NNNN_what.sql`` are applied in order and recorded in ``schema_migrations``. ClickHouse
has no transactions over DDL and no lock to take, so every statement must be one that can run twice
(``IF NOT EXISTS``, ``OR REPLACE``, ...): a migration that broke off is simply run again, and two
workers that migrate at once do the same work twice and agree.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.errors import ClickHouseRefusedError, MigrationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferwatch_clickhouse.settings import ClickHouseSettings

FOLDER: Final = files(__package__) / "migrations"

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
# A string, a quoted name or a comment, in which a semicolon means nothing; or the end of a
# statement: a semicolon that ends its line.
_TOKEN = re.compile(
    r"""(?P<opaque>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|--[^\n]*|/\*.*?\*/)"""
    r"|(?P<end>;[ \t]*(?=\n|\Z))",
    re.DOTALL,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)

# (number, name, checksum) is the key: of two workers with different files under one number, both
# leave their row, and the next to look sees it.
_CREATE_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (number, name, checksum)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of ``migrations/``.

    Attributes:
        number: Counts from 1.
        name: File name without number and extension.
        text: The SQL, with the comment that says why.
    """

    number: int
    name: str
    text: str

    @property
    def file(self) -> str:
        """Its file name."""
        return f"{self.number:04}_{self.name}.sql"

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> tuple[str, ...]:
        """Its statements, without the semicolons."""
        return split(self.text)


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of ``schema_migrations``."""

    number: int
    name: str
    checksum: str

    @property
    def file(self) -> str:
        """The file it was applied from."""
        return f"{self.number:04}_{self.name}.sql"


def split(text: str) -> tuple[str, ...]:
    """The statements of a migration: each ends with a line that ends in a semicolon."""
    statements = []
    start = 0
    for token in _TOKEN.finditer(text):
        if token["end"] is not None:
            statements.append(text[start : token.start()])
            start = token.end()
    statements.append(text[start:])
    return tuple(s.strip() for s in statements if _COMMENT.sub("", s).strip())


def available() -> tuple[Migration, ...]:
    """The migrations of this version, by number."""
    found = [
        Migration(int(match[1]), match[2], file.read_text(encoding="utf-8"))
        for file in FOLDER.iterdir()
        if (match := _FILE.fullmatch(file.name))
    ]
    return tuple(sorted(found, key=lambda migration: migration.number))


def plan(ours: Sequence[Migration], applied: Sequence[Applied]) -> tuple[Migration, ...]:
    """Which migrations to apply, in order.

    Args:
        ours: The migrations of this version, in any order.
        applied: What the database says was applied, in any order.

    Raises:
        MigrationError: The database is ahead, a file was changed after it was applied, or numbers
            are missing on either side.
    """
    ours = sorted(ours, key=lambda migration: migration.number)
    _check_numbers("this version", [migration.number for migration in ours])
    known = {migration.number: migration for migration in ours}
    ahead = [row.file for row in applied if row.number not in known]
    if ahead:
        raise MigrationError(
            f"The database is ahead of this version: it has {', '.join(sorted(ahead))}, "
            "which this version does not know; use the newer version of Inferwatch."
        )
    for row in sorted(applied, key=lambda row: row.number):
        migration = known[row.number]
        if (row.name, row.checksum) != (migration.name, migration.checksum):
            raise MigrationError(
                f"Migration {migration.file} is not what was applied to the database as "
                f"{row.file}; restore that file, and put the change into a new migration."
            )
    done = {row.number for row in applied}
    _check_numbers("the database", sorted(done))
    return tuple(migration for migration in ours if migration.number not in done)


def _check_numbers(where: str, numbers: Sequence[int]) -> None:
    for expected, number in enumerate(numbers, start=1):
        if number != expected:
            what = f"has two of number {number}" if number < expected else f"lacks {expected:04}"
            raise MigrationError(
                f"The migrations of {where} are not without gaps: it {what}; "
                "install Inferwatch anew, or restore schema_migrations from a backup."
            )


def migrate(settings: ClickHouseSettings) -> tuple[Migration, ...]:
    """Bring the database to this version's tables and views; do nothing where it has them.

    Returns:
        What was applied, in order.

    Raises:
        MigrationError: See ``plan``; or a statement failed, named by file and number.
        ClickHouseUnavailableError: ClickHouse did not answer; run it again.
        ClickHouseAccessError: The user may not do this.
    """
    outside = ClickHouse(settings, use_database=False)
    try:
        outside.command(f"CREATE DATABASE IF NOT EXISTS {settings.database}")
    finally:
        outside.close()
    clickhouse = ClickHouse(settings)
    try:
        clickhouse.command(_CREATE_TABLE)
        wanted = plan(available(), applied_to(clickhouse))
        for migration in wanted:
            _apply(clickhouse, migration)
        return wanted
    finally:
        clickhouse.close()


def applied_to(clickhouse: ClickHouse) -> tuple[Applied, ...]:
    """What ``schema_migrations`` says."""
    rows = clickhouse.query("SELECT DISTINCT number, name, checksum FROM schema_migrations")
    return tuple(Applied(*row) for row in rows)


def _apply(clickhouse: ClickHouse, migration: Migration) -> None:
    for number, statement in enumerate(migration.statements, start=1):
        try:
            clickhouse.command(statement)
        except ClickHouseRefusedError as error:
            raise MigrationError(f"{migration.file}, statement {number}: {error}") from error
    clickhouse.command(
        "INSERT INTO schema_migrations (number, name, checksum) "
        "VALUES ({number:UInt32}, {name:String}, {checksum:String})",
        {"number": migration.number, "name": migration.name, "checksum": migration.checksum},
    )
