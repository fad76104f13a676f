"""Which channels are told of a notice, in which group, and when. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from inferwatch_streams.alerts.matcher import all_match
from inferwatch_streams.notifications.manner import Timing
from inferwatch_streams.notifications.notice import ACKNOWLEDGED, INCIDENT, RESOLVED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inferwatch_streams.alerts.matcher import Matcher
    from inferwatch_streams.notifications.notice import Notice

AT_ONCE: Final = Timing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way that alerts take.

    Attributes:
        channels: Names of the channels at its end.
        matchers: All must match.
        goes_on: Whether the routes after it are looked at as well.
        group_by: Labels whose values make a group; None leaves it to the alert.
        timing: When a group is told.
    """

    channels: tuple[str, ...]
    matchers: tuple[Matcher, ...] = ()
    goes_on: bool = False
    group_by: tuple[str, ...] | None = None
    timing: Timing = AT_ONCE


@dataclass(frozen=True, slots=True)
class Taste:
    """What a channel wants to hear of.

    Attributes:
        resolved: Whether it is told what has ended.
        acknowledged: Whether it is told what somebody has acknowledged.
        one_by_one: Whether alerts are told one by one.
        mirror_seconds: Of one that mirrors all alerts, how often they are said again; else None.
    """

    resolved: bool = True
    acknowledged: bool = True
    one_by_one: bool = False
    mirror_seconds: float | None = None

    @property
    def mirroring(self) -> Timing | None:
        """When one that mirrors all alerts is told; None of others."""
        if self.mirror_seconds is None:
            return None
        return Timing(repeat_interval=self.mirror_seconds)

    def wants(self, notice: Notice) -> bool:
        """Whether it is told of a notice at all."""
        return {RESOLVED: self.resolved, ACKNOWLEDGED: self.acknowledged}.get(notice.state, True)


@dataclass(frozen=True, slots=True)
class Destination:
    """One channel that is told of a notice, the group there, and when that is told."""

    channel: str
    group: str
    timing: Timing


@dataclass(frozen=True, slots=True)
class Routing:
    """All routes, in order, and the tastes of all channels by name."""

    routes: Sequence[Route] = ()
    tastes: Mapping[str, Taste] = field(default_factory=dict)

    def destinations(self, notice: Notice) -> tuple[Destination, ...]:
        """Where a notice goes; a channel that several routes lead to is told once."""
        if notice.kind == INCIDENT:
            return tuple(
                self._destination(name, notice, f"incident/{notice.subject}", AT_ONCE)
                for name in dict.fromkeys(notice.channels)
                if name in self.tastes
            )
        found: dict[str, Destination] = {}
        for number, route in enumerate(self.routes):
            if not all_match(route.matchers, notice.matched):
                continue
            group = f"{number}/{_group(route, notice)}"
            for name in route.channels:
                found.setdefault(name, self._destination(name, notice, group, route.timing))
            if not route.goes_on:
                break
        return tuple(found.values())

    def _destination(self, name: str, notice: Notice, group: str, timing: Timing) -> Destination:
        taste = self.tastes[name]
        if taste.mirroring is not None:
            return Destination(name, "", taste.mirroring)
        if taste.one_by_one:
            repeat = timing.repeat_interval
            return Destination(name, notice.subject, Timing(repeat_interval=repeat))
        return Destination(name, group, timing)

    def unknown_channels(self, notice: Notice) -> tuple[str, ...]:
        """Channels that an incident names and nobody has configured."""
        return tuple(name for name in dict.fromkeys(notice.channels) if name not in self.tastes)


def _group(route: Route, notice: Notice) -> str:
    if route.group_by is None:
        return notice.group or notice.subject
    values = notice.matched
    return json.dumps([values.get(name, "") for name in route.group_by], ensure_ascii=False)
