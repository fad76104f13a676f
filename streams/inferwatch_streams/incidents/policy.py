"""What is decided of incidents in advance: who answers by when, and what is done by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.incidents.incident import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
#: Environments on which nobody's users depend, by the names that are usual.
NO_PRODUCTION: Final = Matcher(
    "environment",
    "=~",
    "ci|dev|development|local|preview|qa|sandbox|stage|staging|test|testing",
)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long people have, in microseconds: to take an incident, and to end it."""

    acknowledge: int
    resolve: int


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the escalation.

    Attributes:
        targets: Channels that are told.
        wait: How long, in microseconds, they have until the next level is told, or this one again.
            Of the first level it is the priority's deadline to acknowledge that counts.
    """

    targets: tuple[str, ...]
    wait: int = 15 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One response action, as configured.

    Attributes:
        name: What incidents call it.
        uses: Entry point that makes it.
        options: What it is made with.
        dry_run: Whether it is only said what would be done; None leaves it to whether the action
            changes something.
        timeout: Most microseconds of one attempt.
        retries: How many times more it is tried.
        approval: Whether it waits until somebody approves.
        metric: What is measured before and after it: error_rate, p95 or first_token_p95.
        check_after: How long after it, in microseconds, is measured again.
        helped: It helped where the metric fell to this share of what it was, or below.
    """

    name: str
    uses: str
    options: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool | None = None
    timeout: int = 30 * SECOND
    retries: int = 2
    approval: bool = False
    metric: str = "error_rate"
    check_after: int = 5 * MINUTE
    helped: float = 0.8


@dataclass(frozen=True, slots=True)
class Placement:
    """Which services run where: patterns of hosts, and of services, as of shells."""

    hosts: tuple[str, ...]
    services: tuple[str, ...]


STANDARD: Final = ("collect_logs", "gather_metrics", "notify_team")
CRITICAL: Final = ("scale_up", "open_circuit", "notify_on_call", "war_room")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All that is decided in advance. Spans are microseconds.

    Attributes:
        window: An alert joins an incident whose newest alert fired so long before it, or after.
        quiet: An incident ends by itself when all its alerts have been over for so long.
        reopen: One that ended comes back when a related alert fires within so long.
        placements: Which services run on which hosts.
        unplaced: Whether a host that no placement names may be the cause of any service's trouble.
        user_facing: Alerts that match one of these are about what users see.
        less_urgent: Alerts that match one of these are about what can wait.
        deadlines: By priority.
        levels: Of the escalation, the first is told at once; empty where nobody is.
        repeats: How many times the last level is told again.
        actions: By name.
        sets: Names of actions in their order, by priority.
        actions_per_hour: Most actions of all incidents within an hour.
    """

    window: int = 30 * MINUTE
    quiet: int = 5 * MINUTE
    reopen: int = 30 * MINUTE
    placements: tuple[Placement, ...] = ()
    unplaced: bool = True
    user_facing: tuple[tuple[Matcher, ...], ...] = ()
    less_urgent: tuple[tuple[Matcher, ...], ...] = ((NO_PRODUCTION,),)
    deadlines: Mapping[str, Deadlines] = field(
        default_factory=lambda: {
            "P1": Deadlines(5 * MINUTE, 1 * HOUR),
            "P2": Deadlines(15 * MINUTE, 4 * HOUR),
            "P3": Deadlines(1 * HOUR, 24 * HOUR),
            "P4": Deadlines(8 * HOUR, 72 * HOUR),
        }
    )
    levels: tuple[Level, ...] = ()
    repeats: int = 3
    actions: Mapping[str, Action] = field(
        default_factory=lambda: {
            name: Action(name=name, uses=name) for name in ("collect_logs", "gather_metrics")
        }
    )
    sets: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: dict.fromkeys(PRIORITIES, ("collect_logs", "gather_metrics"))
    )
    actions_per_hour: int = 60

    @property
    def last_level(self) -> int:
        """The highest escalation level that an incident comes to, repeats included."""
        return max(len(self.levels) - 1, 0) + self.repeats if self.levels else 0

    def targets(self, level: int) -> tuple[str, ...]:
        """Who is told at an escalation level."""
        return self.levels[min(level, len(self.levels) - 1)].targets if self.levels else ()

    def told(self, level: int) -> tuple[str, ...]:
        """Who was told up to an escalation level, the first told first."""
        names = (name for each in range(level + 1) for name in self.targets(each))
        return tuple(dict.fromkeys(names))

    def escalates_at(self, acknowledge_by: int, level: int) -> int | None:
        """When an incident at a level that nobody took goes on; None where it does not."""
        if not self.levels or level >= self.last_level:
            return None
        last = len(self.levels) - 1
        return acknowledge_by + sum(
            self.levels[min(each, last)].wait for each in range(1, level + 1)
        )
