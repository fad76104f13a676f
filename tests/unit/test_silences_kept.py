"""Which silence keeps which alert from people, found by index as by a look at each."""

from collections.abc import Mapping
from dataclasses import replace

from alerting import START, Alerting, found
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_streams.alerts.alert import Alert
from inferwatch_streams.alerts.keeping import kept
from inferwatch_streams.alerts.matcher import OPERATORS, Matcher
from inferwatch_streams.alerts.settings import AlertSettings
from inferwatch_streams.alerts.silence import Silence

NAMES, VALUES = ("service", "model", "severity"), ("", "a", "b", "high")
MATCHERS = st.builds(
    Matcher, st.sampled_from(NAMES), st.sampled_from(OPERATORS), st.sampled_from(VALUES)
)


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Draw an alert of some labels, which a silence may keep from people already."""
    told = Alerting()
    told.tick(found("x"))
    (tracked,) = told.state.active.values()
    labels = draw(st.dictionaries(st.sampled_from(NAMES[:2]), st.sampled_from(VALUES)))
    name = draw(st.text("ab", min_size=1, max_size=3))
    held = draw(st.sampled_from([None, "0", "1"]))
    return replace(
        tracked.alert, fingerprint=name, labels=tuple(sorted(labels.items())), silence_id=held
    )


@given(
    st.lists(alerts(), max_size=4, unique_by=lambda each: each.fingerprint),
    st.lists(st.lists(MATCHERS, min_size=1, max_size=3), max_size=5),
)
def test_the_index_finds_what_a_look_at_each_does(
    firing: list[Alert], held: list[list[Matcher]]
) -> None:
    """The one that did it before, or the first."""
    silences = [
        Silence(
            silence_id=str(number), event_time=0, matchers=tuple(each), starts_at=0,
            ends_at=2 * START, actor="me", reason="",
        )
        for number, each in enumerate(held)
    ]  # fmt: skip
    seen = kept(firing, reversed(silences), START, AlertSettings())
    for alert in firing:
        ids = [each.silence_id for each in silences if each.silences(alert.matched, START)]
        first = ids[0] if ids else None
        assert seen[alert.fingerprint][0] == (
            alert.silence_id if alert.silence_id in ids else first
        )


def test_a_thousand_silences_cost_what_one_does() -> None:
    """Most are about one service: only those of an alert's own are looked at."""
    told = Alerting()
    told.tick(found("x"))
    (tracked,) = told.state.active.values()
    looks = 0

    class Counted(Matcher):
        def matches(self, labels: Mapping[str, str]) -> bool:
            nonlocal looks
            looks += 1
            return super().matches(labels)

    silences = [
        Silence(
            silence_id=str(number), event_time=0, starts_at=0, ends_at=2 * START, actor="me",
            reason="", matchers=(Counted("service", "=", str(number)),),
        )
        for number in range(1000)
    ]  # fmt: skip
    firing = [
        replace(tracked.alert, fingerprint=str(n), labels=(("service", str(n)),))
        for n in range(100)
    ]
    assert {each[0] for each in kept(firing, silences, START, AlertSettings()).values()} == {
        str(number) for number in range(100)
    }
    assert looks == 100
