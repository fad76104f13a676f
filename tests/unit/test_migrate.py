"""Migrations: what is applied, what is refused, and how files become statements."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_clickhouse import migrate
from inferwatch_clickhouse.errors import MigrationError
from inferwatch_clickhouse.migrate import Applied, Migration


def _migration(number: int, text: str = "SELECT 1;") -> Migration:
    return Migration(number, f"step_{number}", text)


def _applied(migration: Migration) -> Applied:
    return Applied(migration.number, migration.name, migration.checksum)


OURS = [_migration(number) for number in range(1, 6)]


@given(
    done=st.integers(0, 5),
    files=st.permutations(range(5)),
    rows=st.permutations(range(5)),
)
def test_what_is_left_is_applied_in_order(done: int, files: list[int], rows: list[int]) -> None:
    """From any earlier state, exactly the later migrations follow, by number."""
    ours = [OURS[index] for index in files]
    applied = [_applied(OURS[index]) for index in rows if index < done]
    assert list(migrate.plan(ours, applied)) == OURS[done:]


def test_a_database_ahead_is_refused() -> None:
    """A migration that this version does not know is named, and nothing is planned."""
    applied = [_applied(migration) for migration in OURS]
    with pytest.raises(MigrationError, match=r"ahead of this version: it has 0005_step_5\.sql"):
        migrate.plan(OURS[:4], applied)


def test_a_changed_file_is_refused() -> None:
    """A file whose text is not what was applied is named."""
    ours = [*OURS[:2], _migration(3, "SELECT 2;")]
    with pytest.raises(MigrationError, match=r"0003_step_3\.sql is not what was applied"):
        migrate.plan(ours, [_applied(migration) for migration in OURS[:3]])


def test_a_renamed_file_is_refused() -> None:
    """The same text under another name is another migration."""
    ours = [Migration(1, "other", OURS[0].text)]
    with pytest.raises(MigrationError, match=r"0001_other\.sql is not what was applied"):
        migrate.plan(ours, [_applied(OURS[0])])


def test_two_files_applied_under_one_number_are_refused() -> None:
    """Two versions that migrated at once with different files leave both rows to be seen."""
    both = [_applied(OURS[0]), _applied(_migration(1, "SELECT 2;"))]
    with pytest.raises(MigrationError, match=r"0001_step_1\.sql is not what was applied"):
        migrate.plan(OURS, both)


def test_a_gap_in_the_files_is_refused() -> None:
    """A missing file is named by its number."""
    with pytest.raises(MigrationError, match="this version are not without gaps: it lacks 0002"):
        migrate.plan([OURS[0], OURS[2]], [])


def test_two_files_of_one_number_are_refused() -> None:
    """Which of two files comes first is never a guess."""
    with pytest.raises(MigrationError, match="has two of number 1"):
        migrate.plan([OURS[0], Migration(1, "other", "SELECT 1;")], [])


def test_a_gap_in_the_database_is_refused() -> None:
    """A migration that was skipped is not slipped in after later ones."""
    with pytest.raises(MigrationError, match="the database are not without gaps: it lacks 0002"):
        migrate.plan(OURS, [_applied(OURS[0]), _applied(OURS[2])])


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("-- why\nSELECT 1;\n\nSELECT\n  2;\n", ("-- why\nSELECT 1", "SELECT\n  2")),
        ("SELECT ';\n';\nSELECT 2;", ("SELECT ';\n'", "SELECT 2")),
        ("SELECT 'it''s;\n', '\\';\n', `a;\n`, \"b;\n\";", None),
        ("SELECT 1 -- not the end;\n  + 1;\n", ("SELECT 1 -- not the end;\n  + 1",)),
        ("SELECT /* nor this;\n */ 1;\n", ("SELECT /* nor this;\n */ 1",)),
        ("-- it's a comment\nSELECT 1;", ("-- it's a comment\nSELECT 1",)),
        ("SELECT 1; SELECT 2;", ("SELECT 1; SELECT 2",)),
        ("SELECT 1;\n-- nothing follows;\n", ("SELECT 1",)),
        ("SELECT 1;   \n", ("SELECT 1",)),
        ("SELECT 1", ("SELECT 1",)),
        ("", ()),
    ],
)
def test_statements_end_where_a_line_ends_in_a_semicolon(
    text: str, statements: tuple[str, ...] | None
) -> None:
    """Semicolons in strings, quoted names and comments end nothing."""
    expected = (text.removesuffix(";"),) if statements is None else statements
    assert migrate.split(text) == expected


def test_our_migrations_are_numbered_without_gaps_and_say_why() -> None:
    """Every file is part of the sequence and starts with a comment."""
    ours = migrate.available()
    assert len(ours) >= 7
    assert migrate.plan(ours, []) == ours
    assert [migration.file for migration in ours if not migration.text.startswith("-- ")] == []
    assert {migration.file for migration in ours} == {
        file.name for file in migrate.FOLDER.iterdir()
    }


def test_every_statement_of_ours_may_run_twice() -> None:
    """Two workers may migrate at once, and a migration that broke off is run again."""
    again = re.compile(
        r"CREATE TABLE IF NOT EXISTS|CREATE OR REPLACE (?:VIEW|FUNCTION)"
        r"|ALTER TABLE \w+\s+(?:ADD (?:COLUMN|INDEX) IF NOT EXISTS|DROP COLUMN IF EXISTS|MODIFY"
        r"|MATERIALIZE INDEX)"
        r"|DROP (?:TABLE|VIEW) IF EXISTS"
    )
    for migration in migrate.available():
        for statement in migration.statements:
            code = re.sub(r"^\s*(?:--[^\n]*\n\s*)*", "", statement)
            assert again.match(code), f"{migration.file}: {code[:60]}"
