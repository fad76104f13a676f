"""Rows of text files, plain or gzip, with errors that name file, line and field."""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TextIO

from inferwatch.traces.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# RFC 1952, section 2.3.1.
GZIP_MAGIC: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: its fields, as text (CSV) or JSON values.

    Attributes:
        path: The file.
        line: Its line number, from 1.
        fields: Values by field name.
    """

    path: Path
    line: int
    fields: Mapping[str, Any]

    def text(self, field: str) -> str:
        """A field's text, not empty.

        Raises:
            TraceError: It is missing, empty, or no text.
        """
        value = self.fields.get(field)
        if not isinstance(value, str) or not value:
            raise self.error(field, "text that is not empty")
        return value

    def number(self, field: str, minimum: float = 0.0) -> float:
        """A field's finite number, as a double.

        Raises:
            TraceError: It is missing, no finite number, or below the minimum.
        """
        expected = f"a number of at least {minimum:g}"
        value = self.fields.get(field)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.error(field, expected)
        try:
            number = float(value)
        except (ValueError, OverflowError) as error:
            raise self.error(field, expected) from error
        if not math.isfinite(number) or number < minimum:
            raise self.error(field, expected)
        return number

    def whole(self, field: str) -> int:
        """A field's whole number, not negative.

        Raises:
            TraceError: It is missing, no whole number, or negative.
        """
        value = self.fields.get(field)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise self.error(field, "a whole number of at least 0")

    def error(self, field: str, expected: str) -> TraceError:
        """What to raise when a field is not as expected."""
        found = repr(self.fields[field]) if field in self.fields else "missing"
        return TraceError(
            f"{self.path}, line {self.line}: {field} is {found}; expected {expected}."
        )


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a file as text, unpacking it if its first bytes say gzip.

    Raises:
        TraceError: It cannot be read, or what is read inside the block is no text or no gzip.
    """
    try:
        with path.open("rb") as probe:
            zipped = probe.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        # utf-8-sig: spreadsheets put a byte order mark in front.
        with (gzip.open if zipped else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TraceError(f"{path} is damaged or cut off gzip: {error}.") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path} is not text in UTF-8: {error.reason}.") from error
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}.") from error


def first_line(path: Path) -> str:
    """The first line, to tell kinds of files apart; empty for an empty file.

    Raises:
        TraceError: The file cannot be read.
    """
    with opened(path) as file:
        return file.readline()


def csv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    """Rows of a CSV file (RFC 4180) with a header.

    Args:
        path: The file.
        columns: Columns the header must have; it may have others.

    Raises:
        TraceError: The file cannot be read or has no rows, or a row is not as its header.
    """
    with opened(path) as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise TraceError(f"{path} is empty.")
            missing = [column for column in columns if column not in header]
            if missing:
                raise TraceError(
                    f"{path}, line 1: no column {missing[0]!r}; expected a header with "
                    f"{', '.join(columns)}."
                )
            rows = 0
            for values in reader:
                if not values:
                    continue
                if len(values) != len(header):
                    raise TraceError(
                        f"{path}, line {reader.line_num}: {len(values)} fields; expected "
                        f"{len(header)}."
                    )
                rows += 1
                yield Row(path, reader.line_num, dict(zip(header, values, strict=True)))
        except csv.Error as error:
            raise TraceError(f"{path}, line {reader.line_num}: no CSV: {error}.") from error
    if not rows:
        raise TraceError(f"{path} has a header and no rows.")


def json_rows(path: Path) -> Iterator[Row]:
    """Rows of a file of JSON objects, one a line; blank lines are passed over.

    Raises:
        TraceError: The file cannot be read or has no rows, or a line is no JSON object.
    """
    rows = 0
    with opened(path) as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                fields = json.loads(text)
            except ValueError as error:
                raise TraceError(f"{path}, line {line}: no JSON: {error}.") from error
            if not isinstance(fields, dict):
                raise TraceError(f"{path}, line {line}: expected a JSON object.")
            rows += 1
            yield Row(path, line, fields)
    if not rows:
        raise TraceError(f"{path} is empty.")
