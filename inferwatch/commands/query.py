"""``inferwatch query``: SQL against the configured ClickHouse, or against what a demo kept."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inferwatch import options
from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch.embedded.errors import EmbeddedError
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.errors import ClickHouseError
from inferwatch_clickhouse.settings import ClickHouseSettings

TABLE = "table"
SHORT_NAMES = {
    "csv": "CSVWithNames",
    "json": "JSON",
    "jsonl": "JSONEachRow",
    "markdown": "Markdown",
    "tsv": "TSVWithNames",
    "vertical": "Vertical",
}
# Every value as the text that ClickHouse writes for it, with names and types in front.
_NULL = "ᴺᵁᴸᴸ"
_TEXTS = "JSONCompactStringsEachRowWithNamesAndTypes"

_NUMBER = re.compile(r"(?:Nullable\(|LowCardinality\()*(?:U?Int|Float|Decimal|BFloat)")
_FLOAT = re.compile(r"(?:Nullable\()?(?:Float|BFloat)")
_NAMES_A_FORMAT = re.compile(r"\bFORMAT\s+\w+\s*(?:SETTINGS\b.*)?\Z", re.IGNORECASE | re.DOTALL)
_FORMAT = re.compile(r"\w+")
_SHOWN_DIGITS = 6
_UNBOUNDED_WIDTH = 1_000_000
_PROBE_SECONDS = 2


@options.expanded
def query(
    *,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One statement.", show_default=False)],
    data: options.DataDir = None,
    output_format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="NAME",
            help=f"{TABLE} (floats in {_SHOWN_DIGITS} digits), {', '.join(SHORT_NAMES)} or any "
            "of ClickHouse's formats, such as Parquet.",
        ),
    ] = TABLE,
    clickhouse: options.ClickHouse,
) -> None:
    """Ask ClickHouse: the configured one or, with --data, what a demo kept, also while it runs."""
    sql = sql.strip().rstrip(";").rstrip()
    if not sql:
        raise typer.BadParameter("The statement is empty.", param_hint="SQL")
    if not _FORMAT.fullmatch(output_format):
        raise typer.BadParameter(f"{output_format!r} is not a format.", param_hint="--format")
    with reached(data, clickhouse) as settings, contextlib.closing(ClickHouse(settings)) as asked:
        if output_format == TABLE and not _NAMES_A_FORMAT.search(sql):
            _print_table(asked.stream(sql, _TEXTS))
        else:
            _print_raw(asked.stream(sql, SHORT_NAMES.get(output_format, output_format)))


@contextlib.contextmanager
def reached(data: Path | None, configured: ClickHouseSettings) -> Iterator[ClickHouseSettings]:
    """Where to ask; a kept demo's ClickHouse is started for the while, unless it runs."""
    if data is None:
        yield configured
        return
    folder = data / "clickhouse"
    if not folder.is_dir():
        raise EmbeddedError(
            f"{data} holds no data of a demo; run: inferwatch demo --data {data}, "
            "or name the folder it used."
        )
    running = _running(data / "endpoints.json")
    if running is not None:
        yield running
        return
    with EmbeddedClickHouse(folder, data / "logs") as server:
        yield ClickHouseSettings(url=server.url)


def _running(endpoints: Path) -> ClickHouseSettings | None:
    """The ClickHouse of a demo that still runs and answers."""
    try:
        written = json.loads(endpoints.read_text(encoding="utf-8"))
        settings = ClickHouseSettings(
            url=written["clickhouse_url"],
            connect_seconds=_PROBE_SECONDS,
        )
        if not _alive(int(written["pid"])):
            return None
        with contextlib.closing(ClickHouse(settings, use_database=False)) as probe:
            probe.query("SELECT 1")
    except (OSError, ValueError, KeyError, TypeError, ClickHouseError):
        # No such file, or one of a demo that was killed: its ClickHouse died with it.
        return None
    return settings


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _print_raw(pieces: Iterable[bytes]) -> None:
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader, `head` for one, has enough. Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_table(pieces: Iterable[bytes]) -> None:
    lines = [json.loads(line) for line in b"".join(pieces).splitlines()]
    if not lines:  # a statement that answers nothing
        return
    names, types, *rows = lines
    table = _table(names, types, rows)
    console = Console()
    unbounded = Console(width=_UNBOUNDED_WIDTH)
    if console.is_terminal and unbounded.measure(table).maximum <= console.width:
        console.print(table)
    else:
        # A line a row, however long: cells folded into narrow columns cannot be read.
        table.box = None
        unbounded.print(table)


def _table(names: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name, kind in zip(names, types, strict=True):
        table.add_column(Text(name), justify="right" if _NUMBER.match(kind) else "left")
    for row in rows:
        table.add_row(*(Text(_cell(*pair)) for pair in zip(row, types, strict=True)))
    return table


def _cell(value: str, kind: str) -> str:
    if value == _NULL and "Nullable" in kind:
        return "NULL"
    if _FLOAT.match(kind):
        return f"{float(value):.{_SHOWN_DIGITS}g}"
    return value
