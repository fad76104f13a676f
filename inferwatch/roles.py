"""The roles of a worker, as a table: each reads its settings, and then makes its Faust app.

In two steps, because what is set wrongly is to be told before a server is asked, and because Faust
is slow to import, and neither needed nor wanted before the checks have passed.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_clickhouse.sink.settings import SinkSettings
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_streams.incidents.reloading import PolicyFile
from inferwatch_streams.incidents.settings import IncidentsSettings
from inferwatch_streams.notifications.settings import NotificationsSettings
from inferwatch_streams.rules_worker.settings import RulesSettings
from inferwatch_streams.settings import AggregationSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


class Role(StrEnum):
    """What a worker does."""

    AGGREGATION = "aggregation"
    SINK = "sink"
    RULES = "rules"
    INCIDENTS = "incidents"
    NOTIFICATIONS = "notifications"


@dataclass(frozen=True, slots=True)
class Servers:
    """What all roles are told by the command line.

    Attributes:
        kafka: How to reach Kafka.
        registry_url: The schema registry; the pinned ids when None.
        clickhouse: How to reach ClickHouse.
    """

    kafka: KafkaSettings
    registry_url: str | None
    clickhouse: ClickHouseSettings


@dataclass(frozen=True, slots=True)
class Made:
    """One role, not started.

    Attributes:
        app: Its Faust app, with its ``watchdog``.
        rehearse: Has everything compiled that its first records would have.
    """

    app: Any
    rehearse: Callable[[], None]


Make = Callable[[], Made]


def _aggregation(servers: Servers) -> Make:
    settings = replace(
        AggregationSettings.from_environment(os.environ),
        kafka=servers.kafka,
        registry_url=servers.registry_url,
    )

    def make() -> Made:
        from inferwatch_streams import factory, rehearsal  # noqa: PLC0415  # as said above

        return Made(factory.create_app(settings), rehearsal.rehearse)

    return make


def _sink(servers: Servers) -> Make:
    settings = replace(
        SinkSettings.from_environment(os.environ),
        kafka=servers.kafka,
        registry_url=servers.registry_url,
        clickhouse=servers.clickhouse,
    )

    def make() -> Made:
        from inferwatch_clickhouse.sink import factory, rehearsal  # noqa: PLC0415  # as said above

        return Made(factory.create_app(settings), rehearsal.rehearse)

    return make


def _rules(servers: Servers) -> Make:
    settings = replace(
        RulesSettings.from_environment(os.environ),
        kafka=servers.kafka,
        registry_url=servers.registry_url,
    )
    if settings.file is not None:
        from inferwatch_streams.rules.reading import read_file  # noqa: PLC0415  # it is slow, too

        read_file(settings.file)

    def make() -> Made:
        from inferwatch.lost_events import LostEvents, ask  # noqa: PLC0415  # likewise
        from inferwatch_streams.rules_worker import factory, rehearsal  # noqa: PLC0415  # likewise

        gaps = LostEvents(partial(ask, servers.clickhouse))
        return Made(factory.create_app(settings, gaps), rehearsal.rehearse)

    return make


def _incidents(servers: Servers) -> Make:
    settings = replace(
        IncidentsSettings.from_environment(os.environ),
        kafka=servers.kafka,
        registry_url=servers.registry_url,
    )
    environment = {
        **os.environ,
        **servers.kafka.to_environment(),
        **servers.clickhouse.to_environment(),
    }
    if servers.registry_url is not None:
        environment["INFERWATCH_REGISTRY_URL"] = servers.registry_url
    file = PolicyFile(settings.file, environment)

    def make() -> Made:
        from inferwatch.response_actions.windows import meter  # noqa: PLC0415  # as said above
        from inferwatch_streams.incidents import factory  # noqa: PLC0415  # likewise

        app = factory.create_app(settings, file, meter(environment))
        # Its records come one by one, decoded by fastavro: nothing is compiled for it.
        return Made(app, lambda: None)

    return make


def _notifications(servers: Servers) -> Make:
    settings = replace(
        NotificationsSettings.from_environment(os.environ),
        kafka=servers.kafka,
        registry_url=servers.registry_url,
    )

    def make() -> Made:
        from inferwatch_streams.notifications import factory, rehearsal  # noqa: PLC0415  # likewise

        return Made(factory.create_app(settings), rehearsal.rehearse)

    return make


#: A role's function reads its settings, and raises what its settings raise.
ROLES: "Final[Mapping[Role, Callable[[Servers], Make]]]" = {
    Role.AGGREGATION: _aggregation,
    Role.SINK: _sink,
    Role.RULES: _rules,
    Role.INCIDENTS: _incidents,
    Role.NOTIFICATIONS: _notifications,
}
NEEDS_CLICKHOUSE: Final = frozenset({Role.SINK})
"""Roles that want ClickHouse migrated before they start."""
