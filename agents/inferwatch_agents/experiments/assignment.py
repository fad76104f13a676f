"""Who gets which variant: a function of the definition, the user and the time alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inferwatch_agents.experiments.definition import RUNNING, STOPPED
from inferwatch_agents.experiments.hashing import bucket, bucket_ranges, namespace_bucket

if TYPE_CHECKING:
    from datetime import datetime

    from inferwatch_agents.experiments.definition import Experiment


class Assignment(NamedTuple):
    """What a user gets.

    Attributes:
        variant: The variant.
        counted: Whether the user is part of the experiment: dealt a variant, not given one.
    """

    variant: str
    counted: bool


def assigned(experiment: Experiment, user: str, now: datetime) -> Assignment | None:
    """What a user gets; None for who is not in the experiment.

    Args:
        experiment: Its definition.
        user: Id of the unit of randomisation; the empty one is nobody's.
        now: Time of day, with a time zone.
    """
    if experiment.status == STOPPED and experiment.winner is not None:
        return Assignment(experiment.winner, counted=False)
    if not user or not runs(experiment, now):
        return None
    if (forced := experiment.forced.get(user)) is not None:
        return Assignment(forced, counted=False)
    space = experiment.namespace
    if space is not None and not space.start <= namespace_bucket(space.name, user) < space.end:
        return None
    at = bucket(experiment.seed or experiment.key, user)
    ranges = bucket_ranges(tuple(experiment.variants.values()), experiment.coverage)
    dealt = zip(experiment.variants, ranges, strict=True)
    variant = next((name for name, (start, end) in dealt if start <= at < end), None)
    return None if variant is None else Assignment(variant, counted=True)


def runs(experiment: Experiment, now: datetime) -> bool:
    """Whether users are assigned at this time."""
    begun = experiment.starts_at is None or experiment.starts_at <= now
    ended = experiment.ends_at is not None and experiment.ends_at <= now
    return experiment.status == RUNNING and begun and not ended
