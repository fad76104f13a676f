"""The A/B experiment within the generated load, whose true effect is known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

PURCHASE_SIGMA: Final = 0.6


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one user did after seeing their variant.

    Attributes:
        metric: What they did.
        value: What it was worth.
        delay_seconds: How long after the exposure.
    """

    metric: str
    value: float
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """Two arms of equal size; the treatment changes one metric and leaves the other as it is.

    Attributes:
        name: Its name.
        service: Where users see it.
        variants: Control and treatment.
        thumbs_up_ratios: True share of users of each arm who give a thumbs up.
        purchase_ratio: True share of users of either arm who buy.
        purchase_median_usd: Median of a purchase in either arm.
        delay_seconds: Mean time from exposure to either, exponential.
    """

    name: str = "concise_answers"
    service: str = "assistant"
    variants: tuple[str, str] = ("control", "concise")
    thumbs_up_ratios: tuple[float, float] = (0.10, 0.14)
    purchase_ratio: float = 0.04
    purchase_median_usd: float = 20.0
    delay_seconds: float = 20.0

    def arm(self, user_id: str) -> int:
        """0 for control, 1 for treatment: by a hash of experiment and user, always the same."""
        digest = hashlib.blake2b(f"{self.name}:{user_id}".encode(), digest_size=8).digest()
        return digest[0] & 1

    def outcomes(self, arm: int, random: Random) -> Iterator[Outcome]:
        """What a newly exposed user will do."""
        if random.random() < self.thumbs_up_ratios[arm]:
            yield Outcome("thumbs_up", 1.0, random.expovariate(1 / self.delay_seconds))
        if random.random() < self.purchase_ratio:
            value = round(self.purchase_median_usd * random.lognormvariate(0, PURCHASE_SIGMA), 2)
            yield Outcome("purchase_usd", value, random.expovariate(1 / self.delay_seconds))
