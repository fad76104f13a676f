"""Whether an alert flaps: it fires so often that each time says nothing new.

As in Nagios' flap detection, the limit at which flapping begins lies above the one at which it ends
(https://assets.nagios.com/downloads/nagioscore/docs/nagioscore/4/en/flapping.html). Nagios takes
the share of changes among the last 21 checks; an alert here has no checks of that kind, as
neighbouring ticks look at nearly the same windows, so firings in a stretch of event time count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inferwatch_streams.alerts.settings import AlertSettings


def noted(
    firings: tuple[int, ...], at: int, settings: AlertSettings
) -> tuple[tuple[int, ...], bool]:
    """Times of firings with one more, as far as they matter, and whether that is flapping."""
    newest = (*_recent(firings, at, settings), at)[-settings.flapping_firings :]
    return newest, len(newest) >= settings.flapping_firings


def is_calm(firings: tuple[int, ...], at: int, settings: AlertSettings) -> bool:
    """Whether flapping is over."""
    return len(_recent(firings, at, settings)) < settings.calm_firings


def _recent(firings: tuple[int, ...], at: int, settings: AlertSettings) -> tuple[int, ...]:
    return tuple(each for each in firings if at - each < settings.flap_window)
