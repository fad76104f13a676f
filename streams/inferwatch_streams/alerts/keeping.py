"""What keeps firing alerts from people at a tick: silences, maintenance windows, inhibition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferwatch_streams.alerts.inhibition import Inhibited
from inferwatch_streams.alerts.matcher import all_match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from inferwatch_streams.alerts.alert import Alert
    from inferwatch_streams.alerts.matcher import Matcher
    from inferwatch_streams.alerts.settings import AlertSettings
    from inferwatch_streams.alerts.silence import Silence


def kept(
    firing: Iterable[Alert], silences: Iterable[Silence], at: int, settings: AlertSettings
) -> Mapping[str, tuple[str | None, str | None]]:
    """Silence and inhibiting alert of each firing alert, by fingerprint; None where there is none.

    Of several silences, or inhibiting alerts, the one that did it before stays.
    """
    alerts = list(firing)
    labels = {alert.fingerprint: alert.matched for alert in alerts}
    inhibited = Inhibited(settings.inhibitions, labels)
    hold = {
        each.silence_id: each.matchers
        for each in sorted(silences, key=lambda each: each.silence_id)
        if each.starts_at <= at < each.ends_at
    }
    hold.update(
        (each.silence_id, each.matchers) for each in settings.maintenance if each.when.holds(at)
    )
    hold_by = _Index(hold)
    found = {}
    for alert in alerts:
        its = labels[alert.fingerprint]
        matching = hold_by.matching(its)
        same = alert.silence_id if alert.silence_id in matching else None
        silence_id = same or next(iter(matching), None)
        found[alert.fingerprint] = (silence_id, inhibited.by(alert, its))
    return found


class _Index:
    """Finds what matches labels without a look at each: by the one value that most name.

    Ten thousand alerts under a thousand silences are ten million looks, each second.
    """

    def __init__(self, hold: Mapping[str, tuple[Matcher, ...]]) -> None:
        self._by: dict[str, dict[str, list[int]]] = {}
        self._others: list[int] = []
        self._hold = list(hold.items())
        for number, (_, matchers) in enumerate(self._hold):
            named = next((each for each in matchers if each.operator == "="), None)
            if named is None:
                self._others.append(number)
            else:
                self._by.setdefault(named.name, {}).setdefault(named.value, []).append(number)

    def matching(self, labels: Mapping[str, str]) -> list[str]:
        """Names of what matches, in the order given."""
        numbers = [
            number
            for name, values in self._by.items()
            for number in values.get(labels.get(name, ""), ())
        ]
        return [
            name
            for name, matchers in (self._hold[each] for each in sorted(numbers + self._others))
            if all_match(matchers, labels)
        ]
