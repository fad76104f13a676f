"""Plain tables: a line a row, however wide, so that they can be searched and copied."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from inferwatch.foreign_text import shown

_WIDTH = 10_000


def show(headers: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print rows under their headers; a terminal wraps what is too long for it."""
    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(shown(cell)) if isinstance(cell, str) else cell for cell in row))
    Console(width=_WIDTH).print(table)
