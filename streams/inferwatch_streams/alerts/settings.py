"""How alerts behave, whatever their rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from inferwatch_streams.alerts.inhibition import Inhibition
    from inferwatch_streams.alerts.maintenance import Maintenance

_SECOND: Final = 1_000_000
_HOUR: Final = 3600 * _SECOND
_DAY: Final = 24 * _HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """Lengths of time are microseconds of event time.

    Attributes:
        maintenance: Times in which alerts are kept from people, planned in the rules file.
        inhibitions: Which alerts keep which others from people.
        refresh: How often a firing alert's value is written again, where it changed.
        flap_window: The time over which firings are counted.
        flapping_firings: An alert that fires so often in that time flaps.
        calm_firings: It is calm again when it fired fewer times than this in that time; lower than
            ``flapping_firings``, so that it does not go in and out of flapping in turn.
        remember_resolved: How long a resolved alert stays on the topic; a silence likewise.
        remember_inactive: How long a pending one that went away does, where it never fired.
        purge: How often is looked for what is to be removed.
    """

    maintenance: tuple[Maintenance, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()
    refresh: int = 300 * _SECOND
    flap_window: int = _HOUR
    flapping_firings: int = 4
    calm_firings: int = 2
    remember_resolved: int = 7 * _DAY
    remember_inactive: int = _HOUR
    purge: int = 600 * _SECOND
