"""What a service asks and says: which variant a user gets, and what the user did then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents import process
from inferwatch_agents.calls import CURRENT
from inferwatch_agents.context import BELONGING
from inferwatch_agents.experiments.assignment import assigned
from inferwatch_agents.experiments.definition import Experiment
from inferwatch_agents.experiments.files import load_experiments
from inferwatch_agents.trace_context import current_trace
from inferwatch_schemas.instants import micros

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inferwatch_agents.client import Client
    from inferwatch_agents.experiments.assignment import Assignment

EXPOSURE: Final = "exposure"
CONVERSION: Final = "conversion"

_defined: dict[str, Experiment] = {}


def define(*experiments: Experiment | str | Path) -> None:
    """Define experiments here, for tests and where no Kafka says which there are.

    What Kafka says of the same key goes before it.

    Args:
        experiments: Definitions, or names of files with some.

    Raises:
        ExperimentError: A definition cannot be; names the file and the field.
    """
    for given in experiments:
        found = (given,) if isinstance(given, Experiment) else load_experiments(given)
        _defined.update({experiment.key: experiment for experiment in found})


def assign(experiment: str, user: str | None = None) -> str | None:
    """The variant of an experiment that a user gets; None for who is not in it.

    It tells of the exposure, once for a user and variant while that is remembered, and marks the
    calls from here on as ``in_experiment`` does. Never raises after ``init``.

    Args:
        experiment: Its key.
        user: Id of the unit of randomisation; the user of ``identify`` when None.
    """
    running = process.active()
    try:
        name = _user(user)
        found = _assigned(running, experiment, name, datetime.now(UTC))
        if found is not None and found.counted and running is not None:
            _expose(running, experiment, found.variant, name)
        # Last: who is told of no variant, because something failed, is not to be counted with one.
        _mark(experiment, found and found.variant)
    except Exception as error:
        if running is None:
            raise
        # The caller's work is not to end for an experiment.
        running.fault("assigning", error)
        return None
    return found and found.variant


def conversion(
    metric: str, value: float = 1.0, *, user: str | None = None, experiment: str | None = None
) -> None:
    """A user did what an experiment measures; counted where the user is in it now. Never raises.

    Args:
        metric: What was done: signup, purchase, thumbs_up, ...
        value: What it was worth, in the metric's unit.
        user: Id of the unit of randomisation; the user of ``identify`` when None.
        experiment: Key of the only one that it counts for; all that measure the metric when None.
    """
    running = process.active()
    if running is None:
        return
    try:
        name, now = _user(user), datetime.now(UTC)
        known = {**_defined, **running.following.experiments}
        measuring = (
            [key for key, each in known.items() if metric in each.metrics]
            if experiment is None
            else [experiment]
        )
        for key in measuring:
            found = _assigned(running, key, name, now)
            if found is not None and found.counted:
                event = _event(running, key, found.variant, name)
                running.emit(CONVERSION, {**event, "metric": metric, "value": float(value)})
    except Exception as error:  # noqa: BLE001  # as in assign
        running.fault("a conversion", error)


def _user(user: Any) -> str:
    user = BELONGING.get().user if user is None else user
    return "" if user is None else str(user)


def _assigned(running: Client | None, key: str, user: str, now: datetime) -> Assignment | None:
    definition = None if running is None else running.following.experiments.get(key)
    definition = definition or _defined.get(key)
    if definition is None:
        return None
    found = assigned(definition, user, now)
    if found is None or running is None:
        return found
    controls = running.following.controls
    ended = controls.arms and controls.ends(key, found.variant, micros(now))
    return None if ended else found


def _expose(running: Client, experiment: str, variant: str, user: str) -> None:
    if running.exposed.is_new(experiment, variant, user):
        running.emit(EXPOSURE, _event(running, experiment, variant, user))


def _mark(experiment: str, variant: str | None) -> None:
    belonging = BELONGING.get()
    marked = _marked(belonging.experiments, experiment, variant)
    if marked != belonging.experiments:
        BELONGING.set(replace(belonging, experiments=marked))
    call = CURRENT.get()
    if call is not None:
        call.experiments = _marked(call.experiments, experiment, variant)


def _marked(
    experiments: tuple[tuple[str, str], ...], experiment: str, variant: str | None
) -> tuple[tuple[str, str], ...]:
    others = tuple(pair for pair in experiments if pair[0] != experiment)
    # Who is in no variant is not to be counted with the one that was asked for before.
    return others if variant is None else (*others, (experiment, variant))


def _event(running: Client, experiment: str, variant: str, user: str) -> Mapping[str, Any]:
    trace = current_trace() or BELONGING.get().trace
    return {
        "service_name": running.service,
        "deployment_environment_name": running.environment,
        "experiment": experiment,
        "variant": variant,
        "user_id": user,
        "trace_id": trace and trace.trace_id,
    }
