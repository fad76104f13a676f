"""Inhibition: an alert keeps others from people, as what they tell follows from it.

As Alertmanager's (https://prometheus.io/docs/alerting/latest/configuration/#inhibition-related-settings):
a firing alert that fulfils the source matchers keeps those that fulfil the target matchers from
people, where both have the same values of some labels; an absent label is an empty one. What
fulfils both sides is not inhibited by its like, and so never by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from inferwatch_streams.alerts.matcher import Matcher, all_match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from inferwatch_streams.alerts.alert import Alert

_MATCHERS: Final = {"type": "array", "minItems": 1, "items": {"type": "string"}}
#: JSON Schema of one in a file.
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "While an alert fires that fulfils source, those that fulfil target are kept "
    "from people, where both have the same values of the labels named in equal.",
    "properties": {
        "source": {**_MATCHERS, "description": 'Matchers of the cause, as in severity="critical".'},
        "target": {**_MATCHERS, "description": "Matchers of what follows from it."},
        "equal": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Labels that must have the same value in both.",
        },
    },
    "required": ["source", "target"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Inhibition:
    """One rule of inhibition.

    Attributes:
        source: What the cause fulfils.
        target: What is kept from people.
        equal: Labels of which both have the same values.
    """

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> Self:
        """One of a file, which fulfils ``SCHEMA``.

        Raises:
            MatcherError: A matcher is none.
        """
        source, target = (
            tuple(Matcher.parse(text) for text in entry[side]) for side in ("source", "target")
        )
        return cls(source, target, tuple(entry.get("equal", ())))


class Inhibited:
    """Which of the firing alerts at one tick are kept from people by others.

    Takes a look at each alert for each rule of inhibition, never at pairs of alerts.
    """

    def __init__(
        self, inhibitions: Iterable[Inhibition], alerts: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Note the causes.

        Args:
            inhibitions: The rules.
            alerts: What matchers look at, of the firing alerts by fingerprint.
        """
        self._rules = [(rule, _causes(rule, alerts)) for rule in inhibitions]

    def by(self, alert: Alert, labels: Mapping[str, str]) -> str | None:
        """Fingerprint of what keeps an alert from people: as before, where it still does."""
        least: str | None = None
        for rule, causes in self._rules:
            sides = causes.get(_values(rule, labels))
            if sides is None or not all_match(rule.target, labels):
                continue
            # The second side has the causes that are targets, too.
            for side in sides[:1] if all_match(rule.source, labels) else sides:
                if alert.inhibited_by in side.fingerprints:
                    return alert.inhibited_by
                if side.fingerprints:
                    least = side.least if least is None else min(least, side.least)
        return least


class _Causes:
    def __init__(self) -> None:
        self.fingerprints: set[str] = set()
        self.least = ""

    def add(self, fingerprint: str) -> None:
        self.least = min(self.least or fingerprint, fingerprint)
        self.fingerprints.add(fingerprint)


def _causes(
    rule: Inhibition, alerts: Mapping[str, Mapping[str, str]]
) -> dict[tuple[str, ...], tuple[_Causes, _Causes]]:
    causes: dict[tuple[str, ...], tuple[_Causes, _Causes]] = {}
    for fingerprint, labels in alerts.items():
        if all_match(rule.source, labels):
            sides = causes.setdefault(_values(rule, labels), (_Causes(), _Causes()))
            sides[all_match(rule.target, labels)].add(fingerprint)
    return causes


def _values(rule: Inhibition, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in rule.equal)
