"""One control: as code, and as the record of its topic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from inferwatch_agents.errors import ControlError
from inferwatch_schemas.instants import micros

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

OPEN_CIRCUIT, SHED_LOAD, END_ARM = "open_circuit", "shed_load", "end_arm"
ACTIONS: Final = (OPEN_CIRCUIT, SHED_LOAD, END_ARM)
# A call that is not made fails with this error type, by the action that stopped it.
ERROR_TYPES: Final = {OPEN_CIRCUIT: "circuit_open", SHED_LOAD: "load_shed"}
#: Of calls that were stopped.
BLOCKED: Final = frozenset(ERROR_TYPES.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What is not to be done, by whom, until when.

    Attributes:
        action: open_circuit: no call is made; shed_load: a share of them is not; end_arm: nobody
            gets the variant any more. Others are known to newer versions.
        service: Calls of this service; of any when None. So it is with the next three.
        environment: In this environment.
        model: Of this model, as requested.
        endpoint: For this route of the service.
        experiment: With end_arm, the experiment.
        variant: With end_arm, the variant.
        ratio: With shed_load, the share of calls that are not made, above 0 and up to 1.
        expires_at: Over from then on, in microseconds since 1970 (UTC); ended by hand when None.
        reason: Why, for people.
        incident_id: The incident that it answers.
        actor: Who made it.
    """

    action: str
    service: str | None = None
    environment: str | None = None
    model: str | None = None
    endpoint: str | None = None
    experiment: str | None = None
    variant: str | None = None
    ratio: float | None = None
    expires_at: int | None = None
    reason: str = ""
    incident_id: str | None = None
    actor: str | None = None

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            ControlError: It names nothing to control, or its share is none.
        """
        if self.action == END_ARM:
            if not (self.experiment and self.variant):
                raise ControlError("end_arm needs an experiment and a variant.")
        elif not (self.service or self.model or self.endpoint):
            raise ControlError(f"{self.action} needs a service, a model or an endpoint.")
        if self.action == SHED_LOAD and not (self.ratio is not None and 0 < self.ratio <= 1):
            raise ControlError(f"ratio is {self.ratio}; it must be above 0 and up to 1.")

    @property
    def target(self) -> str:
        """What it controls, as JSON: the key of its record. One target has one control."""
        named = {
            "service": self.service,
            "environment": self.environment,
            "model": self.model,
            "endpoint": self.endpoint,
            "experiment": self.experiment,
            "variant": self.variant,
        }
        held = {name: value for name, value in named.items() if value is not None}
        return json.dumps(held, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The control in a record of the topic.

        Raises:
            ControlError: It cannot be.
        """
        expires_at: datetime | None = record.get("expires_at")
        return cls(
            action=record["action"],
            service=record.get("service_name"),
            environment=record.get("deployment_environment_name"),
            model=record.get("gen_ai_request_model"),
            endpoint=record.get("endpoint"),
            experiment=record.get("experiment"),
            variant=record.get("variant"),
            ratio=record.get("ratio"),
            expires_at=None if expires_at is None else micros(expires_at),
            reason=record["reason"],
            incident_id=record.get("incident_id"),
            actor=record.get("actor"),
        )

    def to_record(self, at: int) -> dict[str, Any]:
        """The record of the topic.

        Args:
            at: When the control is made, in microseconds since 1970 (UTC).
        """
        return {
            "target": self.target,
            "event_time": at,
            "action": self.action,
            "service_name": self.service,
            "deployment_environment_name": self.environment,
            "gen_ai_request_model": self.model,
            "endpoint": self.endpoint,
            "experiment": self.experiment,
            "variant": self.variant,
            "ratio": self.ratio,
            "expires_at": self.expires_at,
            "reason": self.reason,
            "incident_id": self.incident_id,
            "actor": self.actor,
        }
