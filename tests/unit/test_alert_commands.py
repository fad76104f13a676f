"""Commands on alerts and silences: what they do, and what is said of those that do nothing."""

import pytest
from alerting import HOUR, SECOND, START, Alerting, Rule, found, statuses

from inferwatch_streams.alerts.alert import Alert, fingerprint_of
from inferwatch_streams.alerts.matcher import Matcher

CHAT = fingerprint_of("errors", {"service": "chat"})
SERVICE = (Matcher("service", "=", "chat"),)


def firing() -> Alerting:
    """An alert that fires."""
    alerts = Alerting()
    alerts.tick(found())
    return alerts


def chat(alerts: Alerting) -> Alert:
    """The alert about the service chat."""
    tracked = alerts.state.get(CHAT)
    assert tracked is not None
    return tracked.alert


def test_who_took_an_alert_is_kept() -> None:
    """Also when somebody else takes it, and when it is resolved."""
    alerts = firing()
    alerts.obey("acknowledge", CHAT)
    alerts.obey("acknowledge", CHAT, actor="bert")
    alerts.tick()
    assert chat(alerts).acknowledged_by == "anna"
    assert chat(alerts).acknowledged_at == START + SECOND
    assert chat(alerts).status == "resolved"


def test_an_alert_that_was_taken_back_fires() -> None:
    """Its firing has another transition, as it is told again."""
    alerts = firing()
    first = chat(alerts)
    alerts.obey("acknowledge", CHAT)
    alerts.at += SECOND
    alerts.obey("unacknowledge", CHAT)
    assert (chat(alerts).status, chat(alerts).acknowledged_by) == ("firing", None)
    assert chat(alerts).fired_at == first.fired_at
    assert chat(alerts).notification_id == chat(alerts).transition_id != first.transition_id


def test_an_alert_resolved_by_hand_stays_so_until_its_condition_has_gone() -> None:
    """Whatever is found until then; afterwards it fires as ever."""
    alerts = firing()
    assert alerts.obey("resolve", CHAT, text="a test").rejected is None
    assert chat(alerts).memory.reason == "Resolved by anna: a test"
    alerts.restart()
    assert [alerts.tick(found()) for _ in range(5)] == [[]] * 5
    alerts.tick()
    assert statuses(alerts.tick(found())) == ["firing"]


def test_ticks_before_a_command_know_nothing_of_it() -> None:
    """A replay of them does not let an alert go that is held."""
    alerts = firing()
    alerts.tick(found())
    alerts.obey("resolve", CHAT)
    assert alerts.evaluate(alerts.at, {"errors": []}) == []
    assert alerts.tick(found()) == []


def test_a_clock_that_is_wrong_holds_nothing_up() -> None:
    """Whoever resolves an alert by tomorrow's clock does not keep it from firing until then."""
    alerts = firing()
    alerts.obey("resolve", CHAT, event_time=alerts.at + 24 * HOUR)
    alerts.tick()
    assert statuses(alerts.tick(found())) == ["firing"]


def test_a_pending_alert_resolved_by_hand_does_not_fire() -> None:
    """It becomes inactive until its condition has gone."""
    alerts = Alerting({"errors": Rule(pending=2 * SECOND)})
    alerts.tick(found())
    alerts.obey("resolve", CHAT)
    assert [statuses(alerts.tick(found())) for _ in range(5)] == [[]] * 5
    assert chat(alerts).status == "inactive"


def test_comments_are_kept_with_the_alert() -> None:
    """The newest of them, and of a new episode none."""
    alerts = firing()
    for number in range(25):
        alerts.obey("comment", CHAT, text=f"{number}")
    assert [each.text for each in chat(alerts).memory.comments] == [str(n) for n in range(5, 25)]
    alerts.tick()
    alerts.tick(found())
    assert chat(alerts).memory.comments == ()


def test_a_command_that_comes_twice_is_done_once() -> None:
    """Also after a restart, and after other commands took back what it did."""
    alerts = firing()
    alerts.obey("acknowledge", CHAT, command_id="c1")
    alerts.obey("unacknowledge", CHAT, command_id="c2")
    alerts.obey("silence", "s1", matchers=SERVICE, ends_at=alerts.at + HOUR)
    alerts.obey("unsilence", "s1")
    alerts.restart()
    for action, target, name in [
        ("acknowledge", CHAT, "c1"), ("silence", "s1", "c3"), ("unsilence", "s1", "c4")
    ]:  # fmt: skip
        fields = {"matchers": SERVICE, "ends_at": alerts.at + HOUR, "command_id": name}
        done = alerts.obey(action, target, **fields)
        assert (done.changed, done.rejected) == ((), None)


def test_a_silence_can_be_prolonged_and_ended() -> None:
    """It keeps its beginning; what it is for cannot change, and what is over is over."""
    alerts = firing()
    alerts.obey("silence", "s1", matchers=SERVICE, ends_at=alerts.at + HOUR)
    before = alerts.state.silences["s1"]
    alerts.tick(found())
    alerts.obey("silence", "s1", matchers=SERVICE, ends_at=alerts.at + 2 * HOUR)
    assert alerts.state.silences["s1"].ends_at == before.ends_at + HOUR + SECOND
    assert alerts.state.silences["s1"].starts_at == before.starts_at
    alerts.tick(found())
    other = alerts.obey("silence", "s1", matchers=(), ends_at=alerts.at + HOUR)
    assert other.rejected == "The silence s1 is for something else; take another id."
    alerts.obey("unsilence", "s1")
    alerts.tick(found())
    over = alerts.obey("silence", "s1", matchers=SERVICE, ends_at=alerts.at + HOUR)
    assert over.rejected == "The silence s1 is over; take another id."
    assert alerts.obey("unsilence", "s1").changed == ()


@pytest.mark.parametrize(
    ("action", "target", "fields", "sentence"),
    [
        ("dance", CHAT, {}, "The action 'dance' is not known to this version."),
        ("acknowledge", "0" * 16, {}, "There is no alert '0000000000000000'."),
        ("unacknowledge", CHAT, {}, f"{CHAT} is firing, not acknowledged."),
        ("comment", CHAT, {}, "The comment has no text."),
        ("assign", CHAT, {"assignee": "bert"}, "assign is for incidents."),
        ("unsilence", "s1", {}, "There is no silence 's1'."),
        ("comment", CHAT, {"text": "x" * 1001}, "The comment has more than 1000 characters."),
        (
            "comment", CHAT, {"text": "x", "actor": "x" * 201},
            "Its id or actor has more than 200 characters.",
        ),
        (
            "silence", "s1", {"ends_at": START + HOUR, "matchers": (Matcher("a", "!=", "b"),)},
            "The silence would match every alert; name a label and its value.",
        ),
        (
            "silence", "s1", {"ends_at": START, "matchers": SERVICE},
            "The silence would be over before it begins.",
        ),
        (
            "silence", "s1", {"matchers": SERVICE},
            "The silence would be over before it begins.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_rejected_with_a_sentence(
    action: str, target: str, fields: dict[str, object], sentence: str
) -> None:
    """Nothing is written, and the state stays."""
    alerts = firing()
    before = alerts.state
    done = alerts.obey(action, target, **fields)
    assert (done.rejected, done.changed) == (sentence, ())
    assert done.state is before


def test_what_may_be_meant_for_an_incident_is_said_to_be() -> None:
    """Another role answers; a command on an alert that is known is no other's."""
    alerts = firing()
    assert alerts.obey("acknowledge", "0" * 16).elsewhere
    assert alerts.obey("assign", "0" * 16).elsewhere
    assert not alerts.obey("assign", CHAT).elsewhere
    assert not alerts.obey("unsilence", "s1").elsewhere


def test_what_is_over_cannot_be_taken_or_resolved() -> None:
    """It says what it is."""
    alerts = firing()
    alerts.tick()
    assert alerts.obey("acknowledge", CHAT).rejected == f"{CHAT} is resolved, not firing."
    assert alerts.obey("resolve", CHAT).rejected == f"{CHAT} is resolved already."
