"""The definition of an experiment: as code, and as the record of its topic."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from inferwatch_agents.errors import ExperimentError
from inferwatch_schemas.instants import micros

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DRAFT, RUNNING, PAUSED, STOPPED = "draft", "running", "paused", "stopped"
STATUSES: Final = (DRAFT, RUNNING, PAUSED, STOPPED)
# Weights add up to 1, to what GrowthBook lets pass for it.
LEAST_TOTAL: Final = 0.99
MOST_TOTAL: Final = 1.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """Shares users out among experiments: those with other ranges of one namespace have others.

    Attributes:
        name: Its name.
        start: Where the experiment's users begin, 0 to 1.
        end: Where they end; that user is not in.
    """

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """What decides who gets which variant.

    Attributes:
        key: Its name.
        variants: Weight of each variant; they add up to 1. Their order counts.
        status: draft, running, paused or stopped; somebody is assigned only while it runs.
        coverage: Share of each variant's users that take part, 0 to 1.
        seed: What user ids are hashed with; the key when empty.
        starts_at: Nobody is assigned before.
        ends_at: Nobody is assigned from then on.
        winner: The variant that everybody gets once it is stopped.
        forced: The variant that a user gets by name; such users are not counted.
        namespace: Restricts it to some users.
        metrics: The metrics of conversions that it measures.
        description: For people.
    """

    key: str
    variants: Mapping[str, float]
    status: str = RUNNING
    coverage: float = 1.0
    seed: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    winner: str | None = None
    forced: Mapping[str, str] = field(default_factory=dict)
    namespace: Namespace | None = None
    metrics: tuple[str, ...] = ()
    description: str | None = None

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            ExperimentError: It cannot be; names the field.
        """
        for name, right, wanted in self._conditions():
            if not right:
                raise ExperimentError(f"{name} is {getattr(self, name)!r}; {wanted}.")

    def _conditions(self) -> list[tuple[str, bool, str]]:
        total = math.fsum(self.variants.values())
        space = self.namespace
        times = (self.starts_at, self.ends_at)
        aware = [time is None or time.tzinfo is not None for time in times]
        return [
            ("key", bool(self.key), "it must have a name"),
            ("status", self.status in STATUSES, f"it must be one of {', '.join(STATUSES)}"),
            ("variants", len(self.variants) > 1, "there must be two or more"),
            ("variants", all(self.variants), "each must have a name"),
            ("variants", all(0 <= w <= 1 for w in self.variants.values()), "weights are 0 to 1"),
            ("variants", LEAST_TOTAL <= total <= MOST_TOTAL, "the weights must add up to 1"),
            ("coverage", 0 <= self.coverage <= 1, "it must be between 0 and 1"),
            ("starts_at", aware[0], "it must have a time zone"),
            ("ends_at", aware[1], "it must have a time zone"),
            (
                "ends_at",
                not all(aware) or None in times or times[0] < times[1],  # type: ignore[operator]  # neither is None here
                "it must be after starts_at",
            ),
            (
                "winner",
                self.winner is None or (self.winner in self.variants and self.status == STOPPED),
                "it must be one of the variants, and the status must be stopped",
            ),
            (
                "forced",
                set(self.forced.values()) <= set(self.variants),
                "each user's must be one of the variants",
            ),
            (
                "namespace",
                space is None or bool(space.name and 0 <= space.start < space.end <= 1),
                "it needs a name, and 0 <= start < end <= 1",
            ),
        ]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The definition in a record of the topic.

        Raises:
            ExperimentError: It cannot be; names the field.
        """
        space = record.get("namespace")
        return cls(
            key=record["experiment"],
            variants={each["variant"]: each["weight"] for each in record["variants"]},
            status=record["status"],
            coverage=record["coverage"],
            seed=record["seed"],
            starts_at=record.get("starts_at"),
            ends_at=record.get("ends_at"),
            winner=record.get("winner"),
            forced={each["user_id"]: each["variant"] for each in record["forced"]},
            namespace=None
            if space is None
            else Namespace(
                name=space, start=record["namespace_start"], end=record["namespace_end"]
            ),
            metrics=tuple(record["metrics"]),
            description=record.get("description"),
        )

    def to_record(self, at: int, actor: str | None) -> dict[str, Any]:
        """The record of the topic.

        Args:
            at: When the definition is made, in microseconds since 1970 (UTC).
            actor: Who makes it.
        """
        space = self.namespace
        return {
            "experiment": self.key,
            "event_time": at,
            "status": self.status,
            "variants": [{"variant": v, "weight": float(w)} for v, w in self.variants.items()],
            "coverage": float(self.coverage),
            "seed": self.seed,
            "starts_at": self.starts_at and micros(self.starts_at),
            "ends_at": self.ends_at and micros(self.ends_at),
            "winner": self.winner,
            "forced": [{"user_id": user, "variant": v} for user, v in self.forced.items()],
            "namespace": space and space.name,
            "namespace_start": space and float(space.start),
            "namespace_end": space and float(space.end),
            "metrics": list(self.metrics),
            "description": self.description,
            "actor": actor,
        }
