"""How many events a process has made, by schema, in a small file that outlives it.

The file is mapped into memory, so that counting costs a caller no system call, and what was counted
stays when the process is killed (not when the machine is). While the process lives it holds a lock
on the file, which the kernel releases whatever the end: a file that can be locked is of the dead.

    64 bytes: MAGIC, when the process was last seen alive in microseconds since 1970 (UTC)
    63 times 64 bytes: how many events were made of a schema, its name, zeros

Whole numbers are of 8 bytes, aligned and in the machine's order: written by one instruction, none
is ever half written.
"""

from __future__ import annotations

import errno
import mmap
import os
from dataclasses import dataclass
from operator import length_hint
from typing import TYPE_CHECKING, Final

from inferwatch_schemas.instants import now_micros

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # asked for by SUPPORTED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUPPORTED: Final = fcntl is not None
MAGIC: Final = b"IWTALLY1"
SIZE: Final = 4096
SLOT_BYTES: Final = 64
NUMBER_BYTES: Final = 8
SEEN: Final = 1
# More than any process makes, and less than 8 bytes hold.
MOST: Final = 2**62
# The schemas' own limit of event_time.
LATEST: Final = 4_291_747_200_000_000


class Numbers:
    """Numbers of one schema's events, from 0; as in ``Intake``, taking one may be interrupted."""

    __slots__ = ("_cells", "_place", "_rest")

    def __init__(self, cells: memoryview | None = None, place: int = 0) -> None:
        """Start at 0.

        Args:
            cells: Where it is kept how many were taken; nowhere when None.
            place: Its index there.
        """
        self._cells = cells
        self._place = place
        # Unlike itertools.count, it tells where it stands; both give a number in one step.
        self._rest = iter(range(MOST))

    @property
    def made(self) -> int:
        """How many were taken."""
        return MOST - length_hint(self._rest)

    def take(self) -> int:
        """The next number."""
        rest = self._rest
        number = next(rest)
        cells = self._cells
        if cells is not None:
            # Who comes in between leaves a higher count, which is not to be overwritten for long.
            while (made := MOST - length_hint(rest)) != cells[self._place]:
                cells[self._place] = made
        return number


class Tally:
    """The file of this process."""

    def __init__(self, path: Path) -> None:
        """Make it, locked.

        Raises:
            OSError: It cannot be made.
        """
        self.path = path
        # Under another name at first: whoever finds it unlocked takes its process for dead.
        hidden = path.with_name(f".{path.name}")
        self._lock = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Written, not only lengthened: a full disk is an error here, and a crash in a mapping.
            if os.write(self._lock, bytes(SIZE)) != SIZE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))  # noqa: TRY301  # as the next write would
            # Opened again, because a mapping keeps its descriptor, and with it would keep the lock
            # in a forked child.
            again = os.open(hidden, os.O_RDWR)
            try:
                self._map = mmap.mmap(again, SIZE)
            finally:
                os.close(again)
            self._map[: len(MAGIC)] = MAGIC
            self._cells = memoryview(self._map).cast("q")
            self.seen(now_micros())
            hidden.rename(path)
        except BaseException:
            os.close(self._lock)
            hidden.unlink(missing_ok=True)
            raise
        self._used = 0

    def seen(self, at: int) -> None:
        """The process is alive.

        Args:
            at: Microseconds since 1970 (UTC).
        """
        self._cells[SEEN] = at

    def numbers(self, schema: str) -> Numbers:
        """Numbers that are kept in the file; in memory alone where the name or the file is full."""
        name = schema.encode()
        self._used += 1
        start = self._used * SLOT_BYTES
        if len(name) > SLOT_BYTES - NUMBER_BYTES or start + SLOT_BYTES > SIZE:
            return Numbers()
        self._map[start + NUMBER_BYTES : start + NUMBER_BYTES + len(name)] = name
        return Numbers(self._cells, start // NUMBER_BYTES)

    def release(self) -> None:
        """Leave it to others; in a forked child, to the parent, who has the same lock."""
        os.close(self._lock)

    def remove(self) -> None:
        """Nobody is to tell of it.

        Raises:
            OSError: It cannot be removed.
        """
        self.path.unlink(missing_ok=True)
        self.release()


@dataclass(frozen=True, slots=True)
class Told:
    """What a file says.

    Attributes:
        seen: When its process was last seen alive, in microseconds since 1970 (UTC).
        made: How many events it had made, by schema.
    """

    seen: int
    made: Mapping[str, int]


def parse(content: bytes) -> Told:
    """What a file says.

    Raises:
        ValueError: It is no tally.
    """
    if len(content) != SIZE or not content.startswith(MAGIC):
        raise ValueError("It is not of this form.")
    cells = memoryview(content).cast("q")
    made = {}
    for start in range(SLOT_BYTES, SIZE, SLOT_BYTES):
        count = cells[start // NUMBER_BYTES]
        if count:
            name = content[start + NUMBER_BYTES : start + SLOT_BYTES].rstrip(b"\0").decode()
            made[name] = count
    if not (0 <= cells[SEEN] <= LATEST and all(0 < count <= MOST for count in made.values())):
        raise ValueError("It has a number that cannot be.")
    return Told(cells[SEEN], made)


class Dead:
    """The file of a process that has ended, locked by this one."""

    def __init__(self, path: Path) -> None:
        """Lock it.

        Raises:
            OSError: Its process lives, another has locked it, or it cannot be opened.
        """
        self.path = path
        self._lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(self._lock)
            if not found.st_nlink:
                raise FileNotFoundError(str(path))  # noqa: TRY301  # as if opened a moment later
            self.modified = int(found.st_mtime)
            self.content = os.pread(self._lock, SIZE + 1, 0)
        except BaseException:
            os.close(self._lock)
            raise

    def release(self) -> None:
        """Leave it to others."""
        os.close(self._lock)

    def remove(self) -> None:
        """Nobody is to tell of it again.

        Raises:
            OSError: It cannot be removed.
        """
        self.path.unlink(missing_ok=True)
        self.release()
