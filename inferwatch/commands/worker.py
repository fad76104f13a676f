"""``inferwatch worker``: run some of the roles, or all, until told to stop."""

import contextlib
import dataclasses
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from inferwatch import options
from inferwatch.errors import NotReadyError
from inferwatch.program_log import LogLevel, write_log
from inferwatch.roles import NEEDS_CLICKHOUSE, ROLES, Role, Servers
from inferwatch_clickhouse import migrate
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.admin import TopicAdmin
from inferwatch_schemas.faust import check_connects
from inferwatch_schemas.health import Health
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.memory import keep_freed_memory
from inferwatch_schemas.prometheus import serve_metrics
from inferwatch_schemas.topics import TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import faust

CHECK_SECONDS: Final = 10.0


@options.expanded
def worker(  # noqa: PLR0913  # an option is a parameter
    *,
    only: Annotated[
        list[Role],
        typer.Option(
            default_factory=list,
            help="Run this one alone; may be given again. All run in one process without.",
            metavar="ROLE",
            show_default=False,
        ),
    ],
    metrics_port: Annotated[
        int | None,
        typer.Option(
            help="Serve Prometheus metrics and health on this loopback port.",
            envvar="INFERWATCH_METRICS_PORT",
            min=1,
            max=65535,
        ),
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="How much to tell.")] = LogLevel.WARNING,
    kafka: options.Kafka,
    registry_url: options.RegistryUrl = None,
    clickhouse: options.ClickHouse,
) -> None:
    """Count events (aggregation), land them (sink), alert (rules), and tell people (notifications).

    Start as many as you like: those of aggregation and sink share the partitions, of the others one
    leads and the rest stand by, and any of them may be killed at any time. Further settings are
    variables: INFERWATCH_AGGREGATION_*, INFERWATCH_SINK_*, INFERWATCH_RULES_* and
    INFERWATCH_NOTIFICATIONS_*.
    """
    keep_freed_memory()
    # Until Faust handles it: as a container's first process, Python heeds no SIGTERM by itself.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    write_log(log_level, os.fdopen(os.dup(2), "w", buffering=1))
    # What is set wrongly is told before anything is asked.
    roles = list(dict.fromkeys(only)) or list(Role)
    servers = Servers(kafka, registry_url, clickhouse)
    makes = [ROLES[role](servers) for role in roles]
    check_topics(kafka)
    check_connects(kafka)
    if NEEDS_CLICKHOUSE & {*roles}:
        check_migrated(clickhouse)
    made = [make() for make in makes]
    apps = [each.app for each in made]
    health = Health(*(app.watchdog for app in apps))
    if metrics_port is not None:
        serve_metrics(metrics_port, health)
    _warm_up([each.rehearse for each in made])
    _run(apps, log_level, health)


def check_topics(kafka: KafkaSettings) -> None:
    """Make sure that the broker answers and has every topic.

    Raises:
        KafkaUnavailableError: It does not answer.
        NotReadyError: A topic is missing; says how to create it.
    """
    present = TopicAdmin(kafka).states(topic.name for topic in TOPICS)
    missing = [topic.name for topic in TOPICS if topic.name not in present]
    if missing:
        raise NotReadyError(
            f"Topics are missing on {kafka.bootstrap_servers}: {', '.join(missing)}; "
            "run: inferwatch topics create"
        )


def check_migrated(clickhouse: ClickHouseSettings) -> None:
    """Make sure that ClickHouse answers and has this version's tables.

    Raises:
        ClickHouseError: It does not answer, refuses, or is ahead of this version.
        NotReadyError: Migrations are missing; says how to apply them.
    """
    # Of a server that hangs, a worker that starts should say so soon.
    clickhouse = dataclasses.replace(
        clickhouse, answer_seconds=min(clickhouse.answer_seconds, CHECK_SECONDS)
    )
    with contextlib.closing(ClickHouse(clickhouse, use_database=False)) as asked:
        known = asked.query(
            "SELECT count() FROM system.tables "
            "WHERE database = {database:String} AND name = 'schema_migrations'",
            {"database": clickhouse.database},
        )
    pending: tuple[migrate.Migration, ...] = migrate.available()
    if known[0][0]:
        with contextlib.closing(ClickHouse(clickhouse)) as asked:
            pending = migrate.plan(pending, migrate.applied_to(asked))
    if pending:
        raise NotReadyError(
            f"Database {clickhouse.database!r} at {clickhouse.url} lacks {len(pending)} "
            "migrations; run: inferwatch migrate"
        )


def _warm_up(rehearsals: "Sequence[Callable[[], None]]") -> None:
    from inferwatch_schemas.columnar.warm_up import warm_up  # noqa: PLC0415  # numba is slow too

    warm_up(*rehearsals)


def _run(apps: "Sequence[faust.App]", level: LogLevel, health: Health) -> None:
    import faust  # noqa: PLC0415  # as said above

    # Faust wants a folder for tables, which these apps do not have.
    with tempfile.TemporaryDirectory(prefix="inferwatch-worker-") as folder:
        for app in apps:
            app.conf.datadir = Path(folder)
        first, *others = apps
        worker = faust.Worker(
            first, *others, loglevel=level.value.upper(), quiet=True, redirect_stdouts=False
        )
        # It would write a terminal's control codes into a log.
        worker.spinner = None
        health.beat_on(worker.loop)
        worker.execute_from_commandline()
