"""What this process was told: definitions of experiments and controls, followed in Kafka."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from inferwatch_agents.compacted import Compacted
from inferwatch_agents.compacted_reader import CompactedReader
from inferwatch_agents.controls.control import ACTIONS, Control
from inferwatch_agents.controls.decisions import Controls
from inferwatch_agents.errors import UnusableRecordError
from inferwatch_agents.experiments.definition import Experiment
from inferwatch_schemas import topics
from inferwatch_schemas.wire import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_agents.compacted_reader import Note, ReaderSettings
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry

NONE: Final = Controls()


class Following:
    """The two topics, as this service sees them; reading begins with the first question."""

    def __init__(  # noqa: PLR0913  # the last has a default
        self,
        kafka: KafkaSettings,
        registry: Registry,
        service: str,
        environment: str,
        *,
        note: Note,
        settings: ReaderSettings | None = None,
    ) -> None:
        """Prepare.

        Args:
            kafka: Where the broker is.
            registry: Where schemas come from.
            service: OpenTelemetry service.name, by which controls are chosen.
            environment: OpenTelemetry deployment.environment.name, likewise.
            note: Is told of what fails.
            settings: How often the topics are looked for.
        """
        self._registry = registry
        self._service, self._environment = service, environment
        self._note = note
        self._experiments: Mapping[str, Experiment] = MappingProxyType({})
        self._controls = NONE
        self._reader = CompactedReader(
            kafka,
            (
                Compacted(topics.EXPERIMENTS, self._read_experiment, self._set_experiments),
                Compacted(topics.CONTROLS, self._read_control, self._set_controls),
            ),
            note,
            settings,
        )

    @property
    def experiments(self) -> Mapping[str, Experiment]:
        """Definitions by key."""
        if not self._reader.running:
            self._reader.start()
        return self._experiments

    @property
    def controls(self) -> Controls:
        """Those that concern this service; they may have expired."""
        if not self._reader.running:
            self._reader.start()
        return self._controls

    def wait(self, seconds: float) -> bool:
        """Wait until all that Kafka says is known; False where time ran out."""
        return self._reader.wait(seconds)

    def stop(self) -> None:
        """Begin to close."""
        self._reader.stop()

    def close(self) -> None:
        """Read no more; what was known stays."""
        self._reader.close()

    def _read_experiment(self, key: str, value: bytes) -> Experiment:
        return read_experiment(self._registry, key, value)

    def _read_control(self, key: str, value: bytes) -> Control:
        control = read_control(self._registry, key, value)
        if control.action not in ACTIONS:
            # It controls nothing here, and replaces what its target had.
            self._note(
                f"reading {topics.CONTROLS.name}",
                UnusableRecordError(f"This version knows no action {control.action!r}."),
                control.action,
            )
        return control

    def _set_experiments(self, experiments: Mapping[str, Experiment]) -> None:
        self._experiments = experiments

    def _set_controls(self, controls: Mapping[str, Control]) -> None:
        self._controls = Controls.of(controls.values(), self._service, self._environment)


def read_experiment(registry: Registry, key: str, value: bytes) -> Experiment:
    """The definition in a record.

    Raises:
        UnusableRecordError: Its key is not what it names.
        Exception: It is no definition.
    """
    experiment = Experiment.from_record(decode(value, registry))
    _hold(key, experiment.key)
    return experiment


def read_control(registry: Registry, key: str, value: bytes) -> Control:
    """The control in a record.

    Raises:
        UnusableRecordError: Its key is not what it names.
        Exception: It is no control.
    """
    control = Control.from_record(decode(value, registry))
    _hold(key, control.target)
    return control


def _hold(key: str, named: str) -> None:
    if key != named:
        # A record without a value could not remove it.
        raise UnusableRecordError(f"The key {key!r} is not what the record names, {named!r}.")
