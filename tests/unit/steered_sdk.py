"""Stands for an SDK that was told of experiments and controls; keeps the events that it makes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sdk_recorder import Recorder

from inferwatch_agents.controls.control import Control
from inferwatch_agents.controls.decisions import Controls
from inferwatch_agents.experiments.definition import Experiment
from inferwatch_agents.experiments.exposures import Remembered


@dataclass
class Told:
    """Stands for ``Following``.

    Attributes:
        experiments: Definitions by key.
        controls: Controls of the service.
    """

    experiments: dict[str, Experiment] = field(default_factory=dict)
    controls: Controls = field(default_factory=Controls)


@dataclass
class SteeredSdk(Recorder):
    """Stands for ``Client``.

    Attributes:
        following: What it was told.
        events: Schema and record of each event but calls.
        exposed: Who was told of as exposed.
    """

    following: Told = field(default_factory=Told)
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    exposed: Remembered = field(default_factory=Remembered)

    def emit(self, schema: str, record: Mapping[str, Any], at: int | None = None) -> None:
        """Keep it."""
        assert at is None
        self.events.append((schema, record))

    def define(self, *experiments: Experiment) -> None:
        """Be told of experiments."""
        self.following.experiments.update({each.key: each for each in experiments})

    def control(self, *controls: Control) -> None:
        """Be told of controls, of which these are all."""
        self.following.controls = Controls.of(controls, self.service, self.environment)
