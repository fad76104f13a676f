"""``open_circuit``: has the services of an incident make no calls for a while, or fewer."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from inferwatch import compacted_topics
from inferwatch.response_actions.reading import MINUTE
from inferwatch_agents.controls.control import OPEN_CIRCUIT, SHED_LOAD, Control
from inferwatch_agents.following import read_control
from inferwatch_schemas.errors import SchemasError
from inferwatch_schemas.instants import moment_text
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import open_registry
from inferwatch_schemas.topics import CONTROLS
from inferwatch_streams.errors import ActionFailedError, ConfigurationError
from inferwatch_streams.incidents.response_action import Context, Outcome, Surroundings

ACTOR: Final = "inferwatch incidents"
MOST_MINUTES: Final = 24 * 60


class OpenCircuit:
    """Options: ``minutes``, after which it is over by itself; ``shed``, a share of the calls."""

    changes = True
    # A control replaces the one before of the same target.
    idempotent = True

    def __init__(self, options: Mapping[str, Any], surroundings: Surroundings) -> None:
        self.name = surroundings.name
        minutes, shed = options.get("minutes", 15), options.get("shed")
        if not isinstance(minutes, (int, float)) or not 0 < minutes <= MOST_MINUTES:
            raise ConfigurationError(f"minutes is {minutes!r}; above 0 and up to {MOST_MINUTES}")
        if shed is not None and (not isinstance(shed, (int, float)) or not 0 < shed <= 1):
            raise ConfigurationError(f"shed is {shed!r}; it must be above 0 and up to 1")
        self._span = round(minutes * MINUTE)
        self._shed = shed
        self._kafka = KafkaSettings.from_environment(surroundings.environment)
        self._registry_url = surroundings.environment.get("INFERWATCH_REGISTRY_URL")

    def plan(self, context: Context) -> str:
        """Of which services."""
        return f"would {self._action} of {', '.join(context.incident.services) or 'no service'}."

    def run(self, context: Context) -> Outcome:
        """Write the controls; a target that another control holds for is left as it is."""
        until = context.at + self._span
        wanted = {control.target: control for control in self._controls(context, until)}
        if not wanted:
            raise ActionFailedError("the incident names no service.", again=False)
        with _kafka_errors():
            held = self._held(context)
            free = {name: each for name, each in wanted.items() if name not in held}
            if free:
                records = {name: each.to_record(context.at) for name, each in free.items()}
                registry = open_registry(self._registry_url)
                compacted_topics.publish(self._kafka, CONTROLS, registry, records)
        if not free:
            return Outcome(f"other controls hold for {', '.join(sorted(wanted))} already.")
        return Outcome(
            f"{self._action} of {', '.join(sorted(free))} until {moment_text(until)}.",
            undo=json.dumps(sorted(free)),
        )

    def undo(self, context: Context, token: str) -> str:
        """Remove those that are this incident's still."""
        incident_id = context.incident.incident_id
        with _kafka_errors():
            ours = [
                name
                for name, control in self._controls_now().items()
                if name in json.loads(token) and control.incident_id == incident_id
            ]
            if ours:
                compacted_topics.publish(
                    self._kafka, CONTROLS, open_registry(self._registry_url), dict.fromkeys(ours)
                )
        return f"closed {', '.join(sorted(ours)) or 'nothing: others have replaced them'}."

    @property
    def _action(self) -> str:
        return OPEN_CIRCUIT if self._shed is None else f"{SHED_LOAD} {self._shed:.4g}"

    def _controls(self, context: Context, until: int) -> Iterator[Control]:
        incident = context.incident
        for service in incident.services:
            yield Control(
                action=OPEN_CIRCUIT if self._shed is None else SHED_LOAD,
                service=service,
                ratio=self._shed,
                expires_at=until,
                reason=f"{incident.priority}: {incident.title}",
                incident_id=incident.incident_id,
                actor=ACTOR,
            )

    def _controls_now(self) -> Mapping[str, Control]:
        registry = open_registry(self._registry_url)
        read = partial(read_control, registry)
        return compacted_topics.read(self._kafka, CONTROLS, read, lambda _: None)

    def _held(self, context: Context) -> set[str]:
        """Targets that a control of somebody else holds for now."""
        return {
            name
            for name, control in self._controls_now().items()
            if control.incident_id != context.incident.incident_id
            and (control.expires_at is None or control.expires_at > context.at)
        }


@contextmanager
def _kafka_errors() -> Iterator[None]:
    try:
        yield
    except SchemasError as error:
        raise ActionFailedError(f"Kafka: {error}", may_have_run=True) from error
