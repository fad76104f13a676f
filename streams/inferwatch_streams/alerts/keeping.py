"""What keeps firing alerts from people at a tick: silences, maintenance windows, inhibition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferwatch_streams.alerts.inhibition import Inhibited
from inferwatch_streams.alerts.matcher import all_match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from inferwatch_streams.alerts.alert import Alert
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
    found = {}
    for alert in alerts:
        its = labels[alert.fingerprint]
        matching = [each for each, matchers in hold.items() if all_match(matchers, its)]
        same = alert.silence_id if alert.silence_id in matching else None
        silence_id = same or next(iter(matching), None)
        found[alert.fingerprint] = (silence_id, inhibited.by(alert, its))
    return found
