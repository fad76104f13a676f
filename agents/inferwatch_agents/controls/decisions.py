"""What the controls of a service say about one call, or one variant: no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from inferwatch_agents.controls.control import END_ARM, ERROR_TYPES, OPEN_CIRCUIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferwatch_agents.controls.control import Control


class Controls(NamedTuple):
    """Those that concern one service.

    Attributes:
        calls: Those that stop calls, open circuits first.
        arms: Those that end an arm of an experiment.
    """

    calls: tuple[Control, ...] = ()
    arms: tuple[Control, ...] = ()

    @classmethod
    def of(cls, controls: Iterable[Control], service: str, environment: str) -> Self:
        """Choose from all controls."""
        own = [
            control
            for control in controls
            if control.service in (None, service) and control.environment in (None, environment)
        ]
        stopping = [control for control in own if control.action in ERROR_TYPES]
        stopping.sort(key=lambda control: control.action != OPEN_CIRCUIT)
        return cls(tuple(stopping), tuple(c for c in own if c.action == END_ARM))

    def stopping(self, model: str | None, endpoint: str, now: int, chance: float) -> Control | None:
        """The control for which a call is not made; None where it is made.

        Args:
            model: As requested; None when not known.
            endpoint: Route of the service; empty when there is none.
            now: Microseconds since 1970 (UTC).
            chance: From 0 up to 1, another number for each call: below a ratio, the call is shed.
        """
        for control in self.calls:
            if (
                (control.expires_at is None or now < control.expires_at)
                and control.model in (None, model)
                and control.endpoint in (None, endpoint)
                and (control.action == OPEN_CIRCUIT or chance < (control.ratio or 0.0))
            ):
                return control
        return None

    def ends(self, experiment: str, variant: str, now: int) -> bool:
        """Whether nobody gets a variant any more, at this time in microseconds since 1970."""
        return any(
            (control.experiment, control.variant) == (experiment, variant)
            and (control.expires_at is None or now < control.expires_at)
            for control in self.arms
        )
