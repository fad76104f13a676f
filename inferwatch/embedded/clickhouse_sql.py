"""What a ClickHouse server has to know of a statement before it runs it.

Only as much of the language is read as the HTTP interface needs: whether rows follow an INSERT,
in which format and from which byte on; in which format an answer comes; whether it only reads.
Everything else is the engine's.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from inferwatch.embedded.clickhouse_errors import (
    INTO_OUTFILE_NOT_ALLOWED,
    SYNTAX_ERROR,
    UNKNOWN_FORMAT,
    UNKNOWN_TYPE_OF_QUERY,
    ClickHouseError,
)

# ClickHouse's lexer (src/Parsers/Lexer.cpp), as far as words, literals and comments go.
_TOKEN = re.compile(
    rb"""
      (?P<space>   \s++ | --[^\n]*+ | \#[ !][^\n]*+ | /\*.*?(?:\*/|\Z) )
    | (?P<quoted>  '(?:[^'\\]++|\\.|'')*+' | "(?:[^"\\]++|\\.|"")*+" | `(?:[^`\\]++|\\.|``)*+`
                 | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
    | (?P<word>    [A-Za-z_][\w$]*+ )
    | (?P<number>  \d[\w.]*+ )
    | (?P<mark>    . )
    """,
    re.DOTALL | re.VERBOSE,
)
_AFTER_FORMAT = re.compile(rb"[ \t\f]*\r?\n?")
_READS = {b"SELECT", b"WITH", b"FROM", b"SHOW", b"DESCRIBE", b"DESC", b"EXPLAIN", b"EXISTS", b"("}
_ANSWERS = {*_READS, b"CHECK", b"KILL", b"VALUES"}


@dataclass(frozen=True)
class Insert:
    """An INSERT whose rows follow the statement.

    Attributes:
        sql: the statement without its FORMAT or VALUES and without the rows.
        format: the rows' format.
        data_start: the byte of the text at which the rows start.
        inputs: spans in `sql` of each `input(` of an INSERT ... SELECT ... FROM input(...).
    """

    sql: bytes
    format: str
    data_start: int
    inputs: tuple[tuple[int, int], ...] = ()

    def reading(self, path: str) -> bytes:
        """The statement with its rows read from a file in place of `input(...)`."""
        quoted = path.replace("\\", "\\\\").replace("'", "\\'")
        sql = self.sql
        for start, end in reversed(self.inputs):
            sql = sql[:start] + f"file('{quoted}', '{self.format}', ".encode() + sql[end:]
        return sql


@dataclass(frozen=True)
class Query:
    """A statement that is complete in itself.

    Attributes:
        sql: the statement.
        format: the format its answer asks for, None where it leaves it to the client.
        answers: whether it has an answer, if only an empty one.
        reads_only: whether it can change nothing.
        is_set: whether it changes the settings of its session.
    """

    sql: bytes
    format: str | None
    answers: bool
    reads_only: bool
    is_set: bool = False


class _Token(NamedTuple):
    kind: str
    text: bytes  # upper case where it is a word
    start: int
    end: int
    depth: int  # of the parentheses around it


def parse_statement(text: bytes, formats: Collection[str]) -> Insert | Query:
    """Read one statement.

    Args:
        text: the statement and at least the beginning of the rows that follow it.
        formats: the names of the formats the engine knows.

    Raises:
        ClickHouseError: the text is empty, holds several statements, or reads or writes files in
            a way that ClickHouse refuses over HTTP.
    """
    known = {name.lower().encode(): name for name in formats}
    tokens = _tokens(text)
    first = next(tokens, None)
    if first is None:
        raise ClickHouseError(SYNTAX_ERROR, "Empty query: send a statement.")
    if first.text == b"INSERT":
        return _insert(text, tokens, known)
    return _query(text, [first, *tokens], known)


def _tokens(text: bytes) -> Iterator[_Token]:
    depth = 0
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup or ""
        if kind == "space":
            continue
        token = found[0].upper() if kind == "word" else found[0]
        if token == b")":
            depth -= 1
        yield _Token(kind, token, found.start(), found.end(), depth)
        if token == b"(":
            depth += 1


def _query(text: bytes, tokens: list[_Token], known: dict[bytes, str]) -> Query:
    name: str | None = None
    inserts = False
    for token, following in pairwise(tokens):
        if token.text == b";" and following.text != b";":
            raise ClickHouseError(SYNTAX_ERROR, "Multi-statements are not allowed.")
        if (token.text, following.text) == (b"INTO", b"OUTFILE"):
            raise ClickHouseError(INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed.")
        if token.text == b"FORMAT" and token.depth == 0 and following.kind == "word":
            name = known.get(following.text.lower(), name)
        inserts |= token.text == b"INSERT" and following.text != b"("  # insert() is a function
    first = tokens[0].text
    writes = first == b"WITH" and inserts
    return Query(
        sql=text,
        format=name,
        answers=first in _ANSWERS and not writes,
        reads_only=first in _READS and not writes,
        is_set=first == b"SET",
    )


def _insert(text: bytes, tokens: Iterator[_Token], known: dict[bytes, str]) -> Insert | Query:
    previous = _target(tokens)
    for token in tokens:
        if token.text == b"SELECT":
            return _insert_select(text, tokens, known)
        if (previous.text, token.text) == (b"FROM", b"INFILE"):
            raise ClickHouseError(UNKNOWN_TYPE_OF_QUERY, "FROM INFILE is not allowed.")
        if token.text == b"VALUES" and token.depth == 0:
            return Insert(text[: token.start], "Values", token.end)
        if previous.text == b"FORMAT" and previous.depth == 0 and token.kind == "word":
            if token.text.lower() not in known:
                asked = text[token.start : token.end].decode()
                raise ClickHouseError(UNKNOWN_FORMAT, f"Unknown format {asked}.")
            name = known[token.text.lower()]
            return Insert(text[: previous.start], name, _rows_start(text, token))
        previous = token
    return Query(text, format=None, answers=False, reads_only=False)


def _insert_select(
    text: bytes, tokens: Iterator[_Token], known: dict[bytes, str]
) -> Insert | Query:
    inputs: list[tuple[int, int]] = []
    previous = _Token("word", b"SELECT", 0, 0, 0)
    for token in tokens:
        if token.text == b"(" and previous.text == b"INPUT":
            inputs.append((previous.start, token.end))
        elif token.text == b")" and inputs and inputs[-1][1] == previous.end:
            raise ClickHouseError(SYNTAX_ERROR, "input() needs the structure of its rows.")
        elif inputs and (previous.text, previous.depth) == (b"FORMAT", 0):
            # A column may be called format: only with a format's name behind it is it the clause.
            name = known.get(token.text.lower())
            if name is not None:
                sql = text[: previous.start]
                return Insert(sql, name, _rows_start(text, token), tuple(inputs))
        elif previous.text == b";" and token.text != b";":
            raise ClickHouseError(SYNTAX_ERROR, "Multi-statements are not allowed.")
        previous = token
    if inputs:
        raise ClickHouseError(SYNTAX_ERROR, "INSERT from input() needs a FORMAT at its end.")
    return Query(text, format=None, answers=False, reads_only=False)


def _rows_start(text: bytes, name: _Token) -> int:
    """Rows start after the line of FORMAT, or after the blanks where they are on the same line."""
    blanks = _AFTER_FORMAT.match(text, name.end)
    return name.end if blanks is None else blanks.end()


def _target(tokens: Iterator[_Token]) -> _Token:
    """Step over `INTO [TABLE] [FUNCTION] name`, so that a table may be called `values`."""
    for token in tokens:
        if token.text not in {b"INTO", b"TABLE", b"FUNCTION"}:
            return token._replace(text=b"")
    raise ClickHouseError(SYNTAX_ERROR, "INSERT needs the name of a table.")
