"""Rules as code: what all have in common, and a class for each kind.

Lengths of time are microseconds. What a field means for those who write rules stands in the JSON
Schema (``rules.schema.json``).
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, get_args

from inferwatch_streams.rules.texts import rendered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_streams.alerts.matcher import Matcher
    from inferwatch_streams.rules.finding import Finding
    from inferwatch_streams.statistics.burn_rate import BurnPair

DEFAULT_P_VALUE, DEFAULT_SCORE, DEFAULT_DIRECTION = 0.001, 4.0, "both"
#: What an alert's condition does not depend on.
MANNER: Final = (
    "severity", "pending", "keep_firing", "cooldown", "summary", "description", "runbook",
    "group_by",
)  # fmt: skip


def _in_order(value: Any) -> Any:
    """The same whatever the order of keys; keys of parameters may be of any type."""
    if isinstance(value, dict):
        return [[str(key), _in_order(value[key])] for key in sorted(value, key=str)]
    return [_in_order(inner) for inner in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """What every rule has, and what alerts want of it (``alerts.policy.Policy``).

    Attributes:
        name: Unique among the rules that run together.
        severity: One of ``alerts.alert.SEVERITIES``.
        where: Conditions on dimensions that a group has to fulfil.
        by: Dimensions that groups are told apart by; one alert each.
        pending: ``for``: how long the condition has to hold before an alert fires.
        keep_firing: How long it has to be gone before an alert is resolved.
        cooldown: How long after that its alert does not fire again.
        min_samples: A group of which fewer events are known is left alone.
        labels: Names and values that are added to the labels of its alerts.
        summary: Template (``texts.py``) of one line for people.
        description: Template of more for people.
        runbook: URL, or path, of what to do.
        group_by: Labels by which alerts are told together; each alone when empty.
        condition_id: A digest of all that decides when its condition holds, and of nothing else.
    """

    kind: ClassVar[str]

    name: str
    severity: str
    where: tuple[Matcher, ...] = ()
    by: tuple[str, ...] = ()
    pending: int = 0
    keep_firing: int = 0
    cooldown: int = 0
    min_samples: int = 0
    labels: tuple[tuple[str, str], ...] = ()
    summary: str = ""
    description: str = ""
    runbook: str | None = None
    group_by: tuple[str, ...] = ()
    condition_id: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out what names its condition; fields left at their default have no part in it."""
        deciding = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.init and each.name not in MANNER
        }
        defaults = {each.name: each.default for each in fields(self) if each.default is not MISSING}
        told = {
            name: value
            for name, value in deciding.items()
            if name not in defaults or value != defaults[name]
        }
        text = json.dumps([self.kind, _in_order(told)], default=repr)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        object.__setattr__(self, "condition_id", digest)

    def render(self, finding: Finding) -> tuple[str, str]:
        """Summary, one line, and description for people, of what was found."""
        summary = " ".join(rendered(self.summary, finding, self).split())
        return summary, rendered(self.description, finding, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(_Common):
    """A measure is beyond a limit.

    Attributes:
        measure: What is looked at: a key of ``measures.MEASURES``.
        window: Over how long.
        limit: What it is held against.
        above: Whether values above it raise alarm, or those below.
    """

    kind = "threshold"

    measure: str
    window: int
    limit: float
    above: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRate(_Common):
    """An error budget, or a budget of money, burns too fast.

    Attributes:
        sli: Of what: a key of ``burn_rate.SLIS``.
        pairs: Windows and factors; any of them is enough.
        objective: Share of good events that is promised; 0 with money.
        bound: With latency and first_token, what a good event keeps to, in microseconds; else 0.
        budget_usd: With money, what may be spent in a period; else 0.
        period: With money, for how long the budget has to do; else 0.
    """

    kind = "burn_rate"

    sli: str
    pairs: tuple[BurnPair, ...]
    objective: float = 0.0
    bound: int = 0
    budget_usd: float = 0.0
    period: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What a window is compared with.

    Attributes:
        past: How long before the present the other window ended.
        dimension: Compared is another value of this dimension; None compares a group with itself.
        value: Which; None stands for the value that was most frequent so long ago, where this one
            was not there yet: the version before.
    """

    past: int = 0
    dimension: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(_Common):
    """A distribution, or a share, is another than before.

    Attributes:
        measure: One that has a histogram, or is a share.
        window: Length of both windows.
        against: What it is compared with.
        increase: Alarm from this factor on, above 1; infinite where only a decrease matters.
        decrease: Alarm down from this factor, below 1; 0 where only an increase matters.
        at_least: No alarm while the value is below this, however much it grew.
        p_value: The test has to be at least so sure.
    """

    kind = "change"

    measure: str
    window: int
    against: Against
    increase: float = math.inf
    decrease: float = 0.0
    at_least: float = 0.0
    p_value: float = DEFAULT_P_VALUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence(_Common):
    """A group stopped talking, or one that is named in ``where`` never came.

    Attributes:
        signal: Where it talks: a key of ``measure.SIGNALS``.
        silent_for: For how long it must have been silent.
        past: A group that has been silent for longer than this is gone for good; not so one that
            ``where`` names.
    """

    kind = "absence"

    signal: str
    silent_for: int
    past: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast(_Common):
    """A measure is on its way to a limit.

    Attributes:
        measure: What grows, or shrinks.
        window: Over which its way is looked at.
        limit: What it must not reach.
        within: Alarm where it would reach it in this time.
        rising: Whether it comes from below.
    """

    kind = "forecast"

    measure: str
    window: int
    limit: float
    within: int
    rising: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly(_Common):
    """A measure is unlike its own past.

    Attributes:
        measure: What is looked at.
        window: Length of each value's window; the newest whole one is judged.
        history: How far back the past reaches.
        season: After which time the past repeats itself; 0 where it does not.
        score: From how many robust standard deviations on.
        direction: above, below or both.
    """

    kind = "anomaly"

    measure: str
    window: int
    history: int
    season: int = 0
    score: float = DEFAULT_SCORE
    direction: str = DEFAULT_DIRECTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness(_Common):
    """Events of a producer are missing.

    Attributes:
        window: Over which they are counted.
        above: More than this share of them.
    """

    kind = "completeness"

    window: int
    above: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Function(_Common):
    """Whatever a Python function of the entry-point group ``inferwatch.rules`` finds.

    Attributes:
        function: Name of the entry point.
        parameters: What it is called with.
    """

    kind = "function"

    function: str
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)


Rule = Threshold | BurnRate | Change | Absence | Forecast | Anomaly | Completeness | Function
KINDS: Final = {each.kind: each for each in get_args(Rule)}
"""The classes by what files call them."""
