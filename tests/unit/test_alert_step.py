"""Alerts from tick to tick: what is written, and what people hear of it."""

import math
from dataclasses import replace

import pytest
from alerting import DAY, HOUR, MINUTE, SECOND, Alerting, Rule, found, heard, statuses, transitions

from inferwatch_streams.alerts.alert import Alert, fingerprint_of
from inferwatch_streams.alerts.inhibition import Inhibition
from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.alerts.memory import NAME, Memory
from inferwatch_streams.alerts.settings import AlertSettings
from inferwatch_streams.alerts.state import State

CHAT = fingerprint_of("errors", {"service": "chat"})


def alerting(**rule: object) -> Alerting:
    """Alerts of one rule."""
    return Alerting({"errors": replace(Rule(), **rule)})  # type: ignore[arg-type]  # fields of it


def chat(alerts: Alerting) -> Alert:
    """The alert about the service chat."""
    tracked = alerts.state.get(CHAT)
    assert tracked is not None
    return tracked.alert


def test_an_alert_fires_after_its_condition_held_for_so_long() -> None:
    """Pending is written once, and firing once."""
    alerts = alerting(pending=3 * SECOND)
    assert [statuses(alerts.tick(found())) for _ in range(6)] == [
        ["pending"], [], [], ["firing"], [], []
    ]  # fmt: skip
    assert chat(alerts).fired_at == chat(alerts).started_at + 3 * SECOND  # type: ignore[operator]  # it fired


def test_a_condition_that_goes_away_too_soon_was_nothing() -> None:
    """It becomes inactive, begins anew later, and nobody hears of it."""
    alerts = alerting(pending=3 * SECOND)
    alerts.tick(found())
    assert statuses(alerts.tick()) == ["inactive"]
    assert statuses(alerts.tick(found())) == ["pending"]
    assert heard(alerts.log) == []


def test_a_firing_alert_is_kept_while_its_condition_is_gone_for_less() -> None:
    """Only a gap of the whole length resolves it."""
    alerts = alerting(keep_firing=2 * SECOND)
    alerts.tick(found())
    alerts.tick()
    alerts.tick(found())
    alerts.tick()
    alerts.tick()
    assert transitions(alerts.log) == ["firing"]
    assert statuses(alerts.tick()) == ["resolved"]
    assert heard(alerts.log) == [("chat", "firing"), ("chat", "resolved")]


def test_a_cooling_alert_stays_pending() -> None:
    """It fires when the cooldown is over, if its condition holds then."""
    alerts = alerting(cooldown=5 * SECOND)
    alerts.tick(found())
    alerts.tick()
    assert [statuses(alerts.tick(found())) for _ in range(6)] == [
        ["pending"], [], [], [], ["firing"], []
    ]  # fmt: skip


def test_each_group_of_a_rule_has_an_alert_of_its_own() -> None:
    """Labels tell them apart, and of equal ones the first counts."""
    alerts = alerting()
    written = alerts.tick(found("chat", 1.0), found("search"), found("chat", 9.0))
    assert {each.labels: each.value for each in written if isinstance(each, Alert)} == {
        (("service", "chat"),): 1.0,
        (("service", "search"),): 1.0,
    }


def test_a_value_is_written_again_rarely() -> None:
    """Every five minutes where it changed, and at once where it doubled for the worse."""
    alerts = alerting()
    alerts.tick(found(value=1.0))
    assert alerts.tick(found(value=1.9)) == []
    (doubled,) = alerts.tick(found(value=2.0))
    assert isinstance(doubled, Alert)
    assert doubled.value == 2.0
    assert alerts.tick(found(value=0.7)) == []
    assert alerts.tick(found(value=2.0), after=5 * MINUTE) == []
    assert statuses(alerts.tick(found(value=0.7))) == ["firing"]
    assert heard(alerts.log) == [("chat", "firing")]


def test_what_is_too_low_is_written_again_where_it_halved() -> None:
    """The side of the threshold tells what is worse."""
    alerts = alerting()
    alerts.tick(found(value=0.4))
    assert alerts.tick(found(value=0.45)) == []
    assert alerts.tick(found(value=0.21)) == []
    assert statuses(alerts.tick(found(value=0.2))) == ["firing"]


def test_an_alert_of_a_removed_rule_ends() -> None:
    """It says why, and what was pending is inactive."""
    alerts = Alerting({"errors": Rule(), "slow": Rule("slow", pending=HOUR)})
    alerts.tick(found(), also={"slow": [found()]})
    alerts.rules = {}
    assert sorted(statuses(alerts.tick())) == ["inactive", "resolved"]
    assert chat(alerts).memory.reason == "The rule was removed."


def test_an_alert_of_a_changed_rule_ends_and_may_begin_again() -> None:
    """No cooldown comes between, as the alert's condition did not go away."""
    alerts = alerting(cooldown=HOUR)
    alerts.tick(found())
    alerts.rules = {"errors": Rule(cooldown=HOUR, condition_id="c2")}
    assert statuses(alerts.tick(found())) == ["resolved"]
    assert statuses(alerts.tick(found())) == ["firing"]


def test_an_alert_stays_while_its_rule_was_not_evaluated() -> None:
    """That nothing is known is not that nothing is wrong."""
    alerts = alerting()
    alerts.tick(found())
    alerts.at += HOUR
    assert alerts.evaluate(alerts.at, {}) == []
    assert statuses(alerts.tick()) == ["resolved"]


def test_an_alert_that_gets_worse_fires_again() -> None:
    """Whoever had taken it took something smaller; it does not get better within an episode."""
    alerts = alerting(severity="low")
    alerts.tick(found())
    alerts.obey("acknowledge", CHAT)
    assert statuses(alerts.tick(found(severity="critical"))) == ["firing"]
    assert (chat(alerts).severity, chat(alerts).acknowledged_by) == ("critical", None)
    assert alerts.tick(found()) == []
    assert [status for _, status in heard(alerts.log)] == ["firing", "acknowledged", "firing"]


def test_a_silenced_alert_is_told_when_the_silence_ends() -> None:
    """Of what resolves before that, nobody hears."""
    alerts = alerting()
    silence = alerts.obey(
        "silence", "s1", ends_at=alerts.at + 10 * SECOND, matchers=_service("chat")
    )
    assert silence.rejected is None
    alerts.tick(found())
    assert chat(alerts).silence_id == "s1"
    alerts.tick()
    alerts.tick(found())
    assert heard(alerts.log) == []
    assert statuses(alerts.tick(found(), after=10 * SECOND)) == ["firing"]
    assert heard(alerts.log) == [("chat", "firing")]
    assert transitions(alerts.log) == ["firing", "resolved", "firing"]


def test_who_heard_of_an_alert_is_told_again_after_a_silence() -> None:
    """And of its end also where it is silenced by then."""
    alerts = alerting()
    alerts.tick(found())
    for name in ("s1", "s2"):
        alerts.obey("silence", name, ends_at=alerts.at + HOUR, matchers=_service("chat"))
        alerts.tick(found())
        assert chat(alerts).notification_id is None
        if name == "s1":
            alerts.obey("unsilence", name)
            alerts.tick(found())
    alerts.tick()
    assert [status for _, status in heard(alerts.log)] == ["firing", "firing", "resolved"]
    assert chat(alerts).told


def test_a_cause_keeps_what_follows_from_it_from_people() -> None:
    """Where labels are equal; and what it kept is told when it ends."""
    inhibition = Inhibition.parse(
        {"source": ["severity=critical"], "target": ["severity=low"], "equal": ["service"]}
    )
    alerts = Alerting(
        {"errors": Rule(severity="critical"), "slow": Rule("slow", severity="low")},
        AlertSettings(inhibitions=(inhibition,)),
    )
    slow = {"slow": [found("chat"), found("search")]}
    written = alerts.tick(found("chat"), also=slow)
    assert {each.inhibited_by for each in written if isinstance(each, Alert)} == {None, CHAT}
    assert sorted(heard(alerts.log)) == [("chat", "firing"), ("search", "firing")]
    assert sorted(heard(alerts.tick(also=slow))) == [("chat", "firing"), ("chat", "resolved")]


def test_what_got_worse_while_it_was_inhibited_is_told_afterwards() -> None:
    """It was told as something smaller before."""
    inhibition = Inhibition.parse({"source": ["rule=errors"], "target": ["rule=slow"]})
    alerts = Alerting(
        {"errors": Rule(), "slow": Rule("slow", severity="low")},
        AlertSettings(inhibitions=(inhibition,)),
    )
    alerts.tick(also={"slow": [found()]})
    alerts.tick(found("other"), also={"slow": [found(severity="critical")]})
    alerts.tick(also={"slow": [found()]})
    tells = [("chat", "firing"), ("other", "firing"), ("other", "resolved"), ("chat", "firing")]
    assert sorted(heard(alerts.log)) == sorted(tells)


def test_what_is_on_both_sides_is_not_inhibited_by_its_like() -> None:
    """As in Alertmanager; a cause that is not on the other side still inhibits it."""
    inhibition = Inhibition.parse({"source": ["service=~.+"], "target": ["rule=errors"]})
    alerts = Alerting(
        {"errors": Rule(), "slow": Rule("slow")}, AlertSettings(inhibitions=(inhibition,))
    )
    written = alerts.tick(found("a"), found("b"))
    assert [each.inhibited_by for each in written if isinstance(each, Alert)] == [None, None]
    written = alerts.tick(found("a"), found("b"), also={"slow": [found()]})
    inhibited = [each.inhibited_by for each in written if isinstance(each, Alert)]
    assert sorted(map(str, inhibited)) == sorted(
        ["None", *[fingerprint_of("slow", {"service": "chat"})] * 2]
    )


def test_people_hear_of_an_alert_that_flaps_once() -> None:
    """When it is calm they hear that it is over."""
    alerts = alerting()
    for _ in range(10):
        alerts.tick(found(), after=MINUTE)
        alerts.tick(after=MINUTE)
    assert transitions(alerts.log) == ["firing", "resolved"] * 10
    tells = [status for _, status in heard(alerts.log)]
    assert tells == ["firing", "resolved"] * 3 + ["firing"]
    assert chat(alerts).flapping
    alerts.tick(after=HOUR)
    assert not chat(alerts).flapping
    assert [status for _, status in heard(alerts.log)] == [*tells, "resolved"]


def test_alerts_are_told_together_by_labels() -> None:
    """Without any, each alone."""
    alerts = Alerting({"errors": Rule(group_by=("severity", "team")), "slow": Rule("slow")})
    alerts.tick(found("a"), found("b"), also={"slow": [found("a")]})
    assert {each.group_key for each in alerts.state.alerts()} == {
        'severity="high",team=""', fingerprint_of("slow", {"service": "a"})
    }  # fmt: skip


def test_what_is_long_over_is_removed() -> None:
    """A pending alert that went away after an hour, a resolved one and a silence after a week."""
    alerts = Alerting({"errors": Rule(), "slow": Rule("slow", pending=HOUR)})
    alerts.obey("silence", "s1", ends_at=alerts.at + MINUTE, matchers=_service("x"))
    alerts.tick(found(), also={"slow": [found()]})
    alerts.tick()
    assert alerts.tick(after=HOUR) == [fingerprint_of("slow", {"service": "chat"})]
    assert alerts.tick(after=6 * DAY) == []
    assert alerts.tick(after=DAY) == [CHAT, "silence/s1"]
    assert alerts.topic == {}
    assert alerts.state == State(purged_at=alerts.at)


def test_details_are_json_whatever_a_rule_told() -> None:
    """A number that is none, and what nobody can write, do no harm; too much is left out."""
    alerts = alerting()
    (fired,) = alerts.tick(found(burn=math.nan, odd={1: {2}}, what=object()))
    assert isinstance(fired, Alert)
    assert fired.found == {"burn": None, "odd": {"1": [2]}, "what": fired.found["what"]}
    alerts.tick()
    (fired,) = alerts.tick(found(much="x" * 300_000))
    assert isinstance(fired, Alert)
    assert list(fired.found) == ["left_out"]


@pytest.mark.parametrize(
    "details",
    [
        None,
        "",
        "[]",
        "{",
        f'{{"{NAME}": 3}}',
        f'{{"{NAME}": {{"firings": 3}}}}',
        f'{{"{NAME}": {{"evaluated_at": "x"}}}}',
    ],
)
def test_a_memory_that_cannot_be_read_is_empty(details: str | None) -> None:
    """A record that somebody else wrote stops nothing."""
    assert Memory.of_details(details) == (Memory(), {})


def _service(name: str) -> tuple[Matcher, ...]:
    return (Matcher("service", "=", name),)
