"""What a worker needs, checked one by one: this installation, Kafka, the registry, ClickHouse."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Final

from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.errors import ClickHouseError, ClickHouseRefusedError
from inferwatch_clickhouse.migrate import applied_to, available, plan
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas import releases
from inferwatch_schemas.admin import TopicAdmin, differences
from inferwatch_schemas.errors import KafkaUnavailableError, SchemasError
from inferwatch_schemas.faust import check_connects
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import ConfluentRegistry
from inferwatch_schemas.topics import TOPICS

GIB: Final = 1024**3
LITTLE_BYTES: Final = 5 * GIB
TOO_LITTLE_BYTES: Final = GIB
MAX_SKEW_SECONDS: Final = 1.0
# ClickHouse, src/Common/ErrorCodes.cpp
UNKNOWN_TABLE: Final = 60
UNKNOWN_DATABASE: Final = 81


class Level(Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        level: How bad it is.
        what: What was checked, in a word or two.
        found: What was found.
        advice: What to change; empty where nothing need be.
    """

    level: Level
    what: str
    found: str
    advice: str = ""


def check_versions() -> Finding:
    """Whether the packages on whose internals the transport stands are of the pinned versions."""
    return _imported("packages", _versions, "pinned versions are installed")


def check_codecs() -> Finding:
    """Whether every compression that a producer may choose can be read."""
    return _imported("codecs", _codecs, "gzip, snappy, lz4 and zstd can be read")


def check_numba() -> Finding:
    """Whether functions can be compiled."""
    return _imported("compiler", _compile, "numba compiles")


def _versions() -> None:
    from inferwatch_streams.transport.fetch import (  # noqa: PLC0415  # absence is a finding
        check_versions,
    )

    check_versions()


def _codecs() -> None:
    import zstandard  # noqa: F401, PLC0415  # its absence is a finding

    from inferwatch_streams.transport.inflate import check_codecs  # noqa: PLC0415  # likewise

    check_codecs()


def _compile() -> None:
    import numba  # noqa: PLC0415  # its absence is a finding

    compiled = numba.njit(lambda number: number + 1)
    if compiled(1) != 2:  # noqa: PLR2004  # 1 + 1
        raise ArithmeticError("compiled code says that 1 + 1 is not 2")


def _imported(what: str, check: Callable[[], None], found: str) -> Finding:
    try:
        check()
    except Exception as error:  # noqa: BLE001  # whatever a broken package raises is the finding
        return Finding(
            Level.PROBLEM, what, str(error), "Run: pip install --upgrade 'inferwatch[streams]'"
        )
    return Finding(Level.OK, what, found)


def check_kafka(kafka: KafkaSettings) -> Iterator[Finding]:
    """Whether a broker answers, and has the topics as they are declared."""
    admin = TopicAdmin(kafka)
    try:
        brokers = admin.brokers()
        states = admin.states(topic.name for topic in TOPICS)
    except KafkaUnavailableError as error:
        yield Finding(Level.PROBLEM, "Kafka", str(error))
        return
    except SchemasError as error:
        yield Finding(
            Level.PROBLEM, "Kafka", str(error), "Give the user the right to describe topics."
        )
        return
    try:
        check_connects(kafka)
    except (ImportError, SchemasError) as error:
        yield Finding(Level.PROBLEM, "Kafka", str(error))
    many = "1 broker" if brokers == 1 else f"{brokers} brokers"
    yield Finding(Level.OK, "Kafka", f"{many} at {kafka.bootstrap_servers}")
    if missing := [topic.name for topic in TOPICS if topic.name not in states]:
        yield Finding(
            Level.PROBLEM,
            "topics",
            f"missing: {', '.join(missing)}",
            "Run: inferwatch topics create",
        )
    else:
        yield Finding(Level.OK, "topics", f"all {len(TOPICS)} are there")
    for topic in TOPICS:
        state = states.get(topic.name)
        for difference in differences(topic, state) if state else ():
            yield Finding(
                Level.WARNING,
                "topics",
                difference,
                "Change it with the broker's own tools, or leave it knowingly.",
            )


def check_registry(url: str | None) -> Iterator[Finding]:
    """Whether a registry answers and has our schemas; nothing to check with pinned ids."""
    if url is None:
        yield Finding(Level.OK, "registry", "none in use: schema ids are pinned")
        return
    try:
        registry = ConfluentRegistry(url)
        for name in releases.current_names():
            registry.id_of(name)
    except SchemasError as error:
        yield Finding(
            Level.PROBLEM,
            "registry",
            str(error),
            "Check --registry, then run: inferwatch schemas register",
        )
        return
    yield Finding(Level.OK, "registry", f"{url} knows all {len(releases.current_names())} schemas")


def check_clickhouse(
    settings: ClickHouseSettings, now: Callable[[], float] = time.time
) -> Iterator[Finding]:
    """Whether ClickHouse answers, has this version's tables, and agrees about the time.

    Args:
        settings: Where it is.
        now: This machine's clock, in seconds since 1970.
    """
    outside = ClickHouse(settings, use_database=False)
    try:
        ((version,),) = outside.query("SELECT version()")
        before = now()
        ((theirs,),) = outside.query("SELECT toUnixTimestamp64Micro(now64(6))")
        after = now()
    except ClickHouseError as error:
        yield Finding(Level.PROBLEM, "ClickHouse", str(error))
        return
    finally:
        outside.close()
    yield Finding(Level.OK, "ClickHouse", f"version {version} at {settings.url}")
    yield _tables(settings)
    yield clock(theirs / 1e6, before, after)


def _tables(settings: ClickHouseSettings) -> Finding:
    clickhouse = ClickHouse(settings)
    try:
        missing = plan(available(), applied_to(clickhouse))
    except ClickHouseRefusedError as error:
        if error.code not in (UNKNOWN_DATABASE, UNKNOWN_TABLE):
            return Finding(Level.PROBLEM, "tables", str(error), "Give the user the right to read.")
        missing = available()
    except ClickHouseError as error:
        return Finding(Level.PROBLEM, "tables", str(error), "Install this database's version.")
    finally:
        clickhouse.close()
    if missing:
        return Finding(
            Level.PROBLEM,
            "tables",
            f"{len(missing)} migrations are not applied to database {settings.database}",
            "Run: inferwatch migrate",
        )
    return Finding(Level.OK, "tables", f"database {settings.database} is up to date")


def clock(theirs: float, before: float, after: float) -> Finding:
    """Whether two clocks agree.

    Args:
        theirs: What ClickHouse's said, in seconds since 1970.
        before: What ours said when it was asked.
        after: What ours said when it had answered.
    """
    # Anything between before and after may have been the same moment.
    skew = max(before - theirs, theirs - after, 0.0)
    if skew > MAX_SKEW_SECONDS:
        return Finding(
            Level.WARNING,
            "clock",
            f"this machine and ClickHouse differ by {skew:.1f} s",
            "Synchronise the clocks (NTP): windows are those of the events' own times.",
        )
    return Finding(Level.OK, "clock", f"agrees with ClickHouse's at {_minute(theirs)}")


def _minute(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%MZ")


def check_disk(
    folder: Path, free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
) -> Finding:
    """Whether there is room for a demo's data.

    Args:
        folder: Where they are kept; it need not exist.
        free_bytes: How much is free where a folder is.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = free_bytes(existing)
    found = f"{free / GIB:.1f} GiB free for {folder}"
    if free >= LITTLE_BYTES:
        return Finding(Level.OK, "disk", found)
    level = Level.PROBLEM if free < TOO_LITTLE_BYTES else Level.WARNING
    return Finding(level, "disk", found, "Make room, or name another folder with --data.")
