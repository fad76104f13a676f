"""How fast a budget is used up, and from which speed on somebody is to know.

Source: B. Beyer et al., "The Site Reliability Workbook" (O'Reilly 2018), chapter 5, "Alerting on
SLOs", section 6, "Multiwindow, Multi-Burn-Rate Alerts", whose factors are for a budget of 30 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HOUR: Final = 3_600_000_000
_MINUTE: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class BurnPair:
    """A budget burns too fast when it does so over both windows. Times are microseconds.

    Attributes:
        long: The window that shows that it matters.
        short: The window that shows that it still goes on.
        factor: Times the rate that would use up the budget exactly.
    """

    long: int
    short: int
    factor: float


PAGE: Final = (
    BurnPair(_HOUR, 5 * _MINUTE, 14.4),
    BurnPair(6 * _HOUR, 30 * _MINUTE, 6.0),
)
"""2 % of the budget in an hour, or 5 % in six: wake somebody."""
TICKET: Final = (
    BurnPair(24 * _HOUR, 2 * _HOUR, 3.0),
    BurnPair(72 * _HOUR, 6 * _HOUR, 1.0),
)
"""10 % of the budget in a day, or in three: somebody looks at it by daylight."""


def burn_of_share(bad: NDArray[np.float64], objective: float) -> NDArray[np.float64]:
    """Burn rates of shares of bad events, where the objective is the share of good ones."""
    return bad / (1.0 - objective)


def burn_of_spending(
    usd_per_hour: NDArray[np.float64], budget_usd: float, period: int
) -> NDArray[np.float64]:
    """Burn rates of spending, where the budget has to do for a period, in microseconds."""
    return usd_per_hour * (period / _HOUR) / budget_usd
