"""All alerts and silences at a time: what the newest records of the topic say."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from inferwatch_streams.alerts.alert import Alert
from inferwatch_streams.alerts.silence import Silence
from inferwatch_streams.alerts.tracked import Tracked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from inferwatch_streams.alerts.settings import AlertSettings

#: A record of the topic, or the key of one that is to be removed.
Change = Alert | Silence | str


@dataclass(frozen=True, slots=True)
class State:
    """The state of alerting; a new one is made by each step, and shares what did not change.

    Attributes:
        active: Alerts that a tick may change though nothing is found for them, by fingerprint.
        over: The others.
        silences: By id; also those that are over.
        purged_at: When was last looked for what is to be removed.
    """

    active: Mapping[str, Tracked] = field(default_factory=dict)
    over: Mapping[str, Tracked] = field(default_factory=dict)
    silences: Mapping[str, Silence] = field(default_factory=dict)
    purged_at: int = 0

    @classmethod
    def loaded(cls, records: Iterable[Alert | Silence]) -> Self:
        """The state that the newest record of each key makes, after the fence."""
        found = list(records)
        alerts = [Tracked.of(each) for each in found if isinstance(each, Alert)]
        return cls(
            {each.alert.fingerprint: each for each in alerts if each.active},
            {each.alert.fingerprint: each for each in alerts if not each.active},
            {each.silence_id: each for each in found if isinstance(each, Silence)},
        )

    def get(self, fingerprint: str) -> Tracked | None:
        """An alert."""
        return self.active.get(fingerprint) or self.over.get(fingerprint)

    def alerts(self) -> Iterable[Alert]:
        """All of them."""
        return (each.alert for kind in (self.active, self.over) for each in kind.values())

    def having(self, changed: Iterable[Tracked]) -> Self:
        """The same with some alerts changed or added."""
        active, over = {**self.active}, {**self.over}
        for each in changed:
            name = each.alert.fingerprint
            (over if each.active else active).pop(name, None)
            (active if each.active else over)[name] = each
        return replace(self, active=active, over=over)

    def silenced(self, silence: Silence) -> Self:
        """The same with a silence changed or added."""
        return replace(self, silences={**self.silences, silence.silence_id: silence})

    def purged(self, at: int, settings: AlertSettings) -> tuple[Self, tuple[str, ...]]:
        """The same without what has been over for long, and the keys of that."""
        if at - self.purged_at < settings.purge:
            return self, ()
        over = {name: each for name, each in self.over.items() if at < _until(each, settings)}
        silences = {
            name: each
            for name, each in self.silences.items()
            if at < each.ends_at + settings.remember_resolved
        }
        keys = [name for name in self.over if name not in over]
        keys += [each.key for name, each in self.silences.items() if name not in silences]
        return replace(self, over=over, silences=silences, purged_at=at), tuple(sorted(keys))


def _until(tracked: Tracked, settings: AlertSettings) -> int:
    fired = tracked.memory.ended_at is not None or tracked.alert.fired_at is not None
    kept = settings.remember_resolved if fired else settings.remember_inactive
    return tracked.alert.event_time + kept
