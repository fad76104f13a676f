"""How long the texts of an incident may be, so that its record fits into its topic (1 MiB).

At most 201 lines of a timeline of 1,000 bytes, 300 alerts of 700, and names of services, models and
hosts are then within it. Texts come from people, services and a team's own actions, and may be
anything: what cannot be written would stop the role.
"""

from __future__ import annotations

from typing import Final

#: Of a line of the timeline.
LINE: Final = 800
#: Who it was, or a name of what an incident is about.
NAME: Final = 200
#: Of an alert's summary, or a title.
SUMMARY: Final = 400
#: Of what came of an action, or the probable cause.
RESULT: Final = 4000
#: Of an address; a longer one would lead nowhere when cut.
ADDRESS: Final = 2000


def fitted(text: str, most: int) -> str:
    """A text as UTF-8 can have it, of so many bytes at most; one that was cut ends in …."""
    data = text.encode(errors="replace")
    if len(data) <= most:
        return data.decode()
    return data[: most - len("…".encode())].decode(errors="ignore") + "…"


def fitted_or_none(text: str | None, most: int) -> str | None:
    """The same of a text that may be missing."""
    return None if text is None else fitted(text, most)
