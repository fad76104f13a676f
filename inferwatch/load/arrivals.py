"""When calls arrive: a Poisson process whose rate follows the time of day and bursts.

The rate is ``rate * daily(t) * burst(t)``. The day is a cosine with its peak in the afternoon. The
burst factor is a Markov chain of two states, calm and burst, with exponential sojourns, which
makes the whole a Markov-modulated Poisson process (Fischer and Meier-Hellstern, "The
Markov-modulated Poisson process (MMPP) cookbook", 1993). Both factors have mean 1 in the long run.
Arrivals are drawn by thinning (Lewis and Shedler, "Simulation of nonhomogeneous Poisson processes
by thinning", 1979).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random


@dataclass(frozen=True, slots=True)
class ArrivalSettings:
    """How the rate moves about its mean.

    Attributes:
        day_seconds: Length of the cycle; shorter than a day to see it in a demonstration.
        peak_seconds: When in the cycle the rate is highest.
        day_amplitude: Relative swing of the cycle, 0 to 1.
        burst_factor: Rate within a burst over the rate outside of it, at least 1.
        burst_seconds: Mean length of a burst.
        calm_seconds: Mean time between two bursts.
    """

    day_seconds: float = 86_400.0
    peak_seconds: float = 54_000.0
    day_amplitude: float = 0.4
    burst_factor: float = 2.5
    burst_seconds: float = 8.0
    calm_seconds: float = 60.0

    @property
    def burst_share(self) -> float:
        """Share of the time that is within bursts."""
        return self.burst_seconds / (self.burst_seconds + self.calm_seconds)

    @property
    def calm_level(self) -> float:
        """Value of the burst factor outside of bursts, such that its mean is 1."""
        return 1 / (1 + (self.burst_factor - 1) * self.burst_share)

    def daily(self, at: float) -> float:
        """Factor of the time of day, at seconds since 1970."""
        phase = 2 * math.pi * (at - self.peak_seconds) / self.day_seconds
        return 1 + self.day_amplitude * math.cos(phase)


def arrivals(
    rate: float, start: float, random: Random, settings: ArrivalSettings
) -> Iterator[float]:
    """Times of arrivals without end.

    Args:
        rate: Long-run mean, in arrivals a second.
        start: First possible time, in seconds since 1970.
        random: Source of chance.
        settings: How the rate moves.

    Yields:
        Seconds since 1970, ascending.
    """
    at = start
    bursting = random.random() < settings.burst_share
    change = at + _sojourn(random, settings, bursting=bursting)
    while True:
        level = settings.calm_level * (settings.burst_factor if bursting else 1.0)
        bound = rate * level * (1 + settings.day_amplitude)
        step = random.expovariate(bound)
        if at + step >= change:
            # Exponential steps have no memory: start over with the new state's rate.
            at, bursting = change, not bursting
            change = at + _sojourn(random, settings, bursting=bursting)
            continue
        at += step
        if random.random() * (1 + settings.day_amplitude) < settings.daily(at):
            yield at


def _sojourn(random: Random, settings: ArrivalSettings, *, bursting: bool) -> float:
    return random.expovariate(1 / (settings.burst_seconds if bursting else settings.calm_seconds))
