"""What holds of alerts whatever rules find, people want, and however often workers restart."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from alerting import SECOND, START, Alerting, Rule, found
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_streams.alerts.alert import Alert, fingerprint_of
from inferwatch_streams.alerts.inhibition import Inhibition
from inferwatch_streams.alerts.maintenance import Maintenance, Once
from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.alerts.settings import AlertSettings

SERVICES = ("chat", "search")
RULES = ("errors", "slow")
FINGERPRINTS = [fingerprint_of(rule, {"service": each}) for rule in RULES for each in SERVICES]
ACTIONS = ("acknowledge", "unacknowledge", "resolve", "comment", "silence", "unsilence")
SETTINGS = AlertSettings(
    inhibitions=(
        Inhibition.parse(
            {"source": ["rule=errors"], "target": ["rule=slow"], "equal": ["service"]}
        ),
    ),
    maintenance=(
        Maintenance(
            "deploy",
            (Matcher("service", "=", "search"),),
            Once(START + 12 * SECOND, START + 17 * SECOND),
        ),
    ),
    refresh=4 * SECOND,
    flap_window=15 * SECOND,
    flapping_firings=3,
)


@dataclass(frozen=True)
class Moment:
    """One tick, and what somebody wants after it.

    Attributes:
        holds: For each rule and service, the value found; 0 where nothing is.
        evaluated: Whether the second rule was evaluated.
        command: Action and target, as a number.
        changed: Whether the first rule looks for something else from now on.
    """

    holds: tuple[int, ...]
    evaluated: bool
    command: tuple[str, int] | None
    changed: bool


MOMENTS = st.lists(
    st.builds(
        Moment,
        st.tuples(*[st.sampled_from([0, 0, 1, 1, 3])] * 4),
        st.sampled_from([True] * 5 + [False]),
        st.one_of(st.none(), st.none(), st.tuples(st.sampled_from(ACTIONS), st.integers(0, 3))),
        st.sampled_from([False] * 15 + [True]),
    ),
    min_size=1,
    max_size=30,
)
LENGTHS = st.integers(0, 4).map(lambda length: length * SECOND)
POLICIES = st.builds(Rule, pending=LENGTHS, keep_firing=LENGTHS, cooldown=LENGTHS)


def fresh(rule: Rule) -> Alerting:
    """Alerts of two rules, of which the first is worse."""
    rules = {"errors": rule, "slow": replace(rule, name="slow", severity="low")}
    return Alerting(rules, SETTINGS)


def play(alerts: Alerting, moment: Moment) -> None:
    """Go through one tick and command."""
    alerts.at += SECOND
    if moment.changed:
        rule = alerts.rules["errors"]
        alerts.rules = {
            **alerts.rules, "errors": replace(rule, condition_id=f"{rule.condition_id}+")
        }  # fmt: skip
    evaluate(alerts, alerts.at, moment)
    if moment.command is not None:
        action, target = moment.command
        if action in ACTIONS[4:]:
            service = Matcher("service", "=", SERVICES[target % 2])
            ends_at = alerts.at + (target + 1) * 3 * SECOND
            alerts.obey(action, f"s{target}", ends_at=ends_at, matchers=(service,))
        else:
            alerts.obey(action, FINGERPRINTS[target], text="why")


def evaluate(alerts: Alerting, at: int, moment: Moment) -> Sequence[object]:
    """Have one tick looked at, be it again."""
    values = iter(moment.holds)
    by_rule = {
        rule: [
            found(service, float(value), severity="critical" if value == 3 else None)
            for service in SERVICES
            if (value := next(values))
        ]
        for rule in RULES
    }
    if not moment.evaluated:
        del by_rule["slow"]
    return alerts.evaluate(at, by_rule)


def alert_records(alerts: Alerting) -> dict[str, list[Alert]]:
    """All that was written of each alert, in order."""
    by_name: dict[str, list[Alert]] = defaultdict(list)
    for each in alerts.log:
        if isinstance(each, Alert):
            by_name[each.fingerprint].append(each)
    return by_name


@settings(max_examples=40, deadline=None)
@given(rule=POLICIES, moments=MOMENTS, restarts=st.sets(st.integers(0, 40)))
def test_restarts_change_nothing(rule: Rule, moments: list[Moment], restarts: set[int]) -> None:
    """Whenever the state is read from the topic, the same is written afterwards."""
    through, restarted = fresh(rule), fresh(rule)
    for number, moment in enumerate(moments):
        if number in restarts:
            restarted.restart()
        play(through, moment)
        play(restarted, moment)
    assert restarted.log == through.log


@settings(max_examples=40, deadline=None)
@given(rule=POLICIES, moments=MOMENTS, back=st.integers(1, 10), restarted=st.booleans())
def test_a_replay_of_ticks_repeats_nothing(
    rule: Rule, moments: list[Moment], back: int, *, restarted: bool
) -> None:
    """Ticks that were looked at before, by whoever, lead to no record."""
    alerts = fresh(rule)
    for moment in moments:
        play(alerts, replace(moment, changed=False))
    if restarted:
        alerts.restart()
    start = max(0, len(moments) - back)
    for number, moment in enumerate(moments[start:], start):
        assert evaluate(alerts, START + (number + 1) * SECOND, moment) == []


@settings(max_examples=40, deadline=None)
@given(rule=POLICIES, moments=MOMENTS)
def test_an_episode_fires_once_and_is_resolved_once(rule: Rule, moments: list[Moment]) -> None:
    """From beginning to end each status has the one transition that the state machine allows."""
    follows = {
        None: {"pending", "firing"},
        "pending": {"firing", "inactive"},
        "firing": {"acknowledged", "resolved"},
        "acknowledged": {"firing", "resolved"},
        "resolved": {"pending", "firing"},
        "inactive": {"pending", "firing"},
    }
    alerts = fresh(rule)
    for moment in moments:
        play(alerts, moment)
    for written in alert_records(alerts).values():
        status, ids, before = None, set[str](), None
        for each in written:
            if before is not None and each.transition_id == before.transition_id:
                assert each.status == status
                continue
            worse = before is not None and status == each.status == "firing"
            if worse:
                assert before is not None
                assert (before.severity, each.severity) == ("high", "critical") or (
                    (before.severity, each.severity) == ("low", "critical")
                )
            else:
                assert each.status in follows[status]
            assert each.transition_id not in ids
            ids.add(each.transition_id)
            if each.status == "firing" and status not in ("firing", "acknowledged"):
                assert each.event_time - each.started_at >= rule.pending
            status, before = each.status, each


@settings(max_examples=40, deadline=None)
@given(rule=POLICIES, moments=MOMENTS)
def test_people_hear_of_nothing_that_is_kept_from_them(rule: Rule, moments: list[Moment]) -> None:
    """And of the end of what they heard the beginning of, once, and of no other."""
    alerts = fresh(rule)
    for moment in moments:
        play(alerts, moment)
    for written in alert_records(alerts).values():
        believed, ids = False, set[str]()
        for each in written:
            if each.notification_id is None or each.notification_id in ids:
                continue
            ids.add(each.notification_id)
            assert each.told
            if each.status == "firing":
                believed = True
            else:
                assert believed
                believed = each.status == "acknowledged"
        last = written[-1]
        if not last.flapping and last.status != "pending":
            fires = last.status in ("firing", "acknowledged")
            assert believed is (fires and last.memory.heard)


@settings(max_examples=40, deadline=None)
@given(rule=POLICIES, moments=MOMENTS, commands=st.permutations(range(4)))
def test_commands_that_do_not_meet_may_come_in_any_order(
    rule: Rule, moments: list[Moment], commands: list[int]
) -> None:
    """Of different alerts and silences; and a command that comes twice is done once."""
    targets = [
        ("acknowledge", FINGERPRINTS[0]), ("resolve", FINGERPRINTS[1]),
        ("comment", FINGERPRINTS[2]), ("silence", "s9"),
    ]  # fmt: skip
    ordered, shuffled = fresh(rule), fresh(rule)
    for alerts, order in ((ordered, range(4)), (shuffled, commands)):
        for moment in moments:
            play(alerts, moment)
        _obey(alerts, [targets[each] for each in order])
        _obey(alerts, [targets[each] for each in order])
    assert newest(shuffled) == newest(ordered)


@settings(max_examples=40, deadline=None)
@given(rule=POLICIES, moments=MOMENTS)
def test_a_comment_and_an_acknowledgement_commute(rule: Rule, moments: list[Moment]) -> None:
    """On the same alert, but for the order in which they are remembered."""
    orders = (("acknowledge", "comment"), ("comment", "acknowledge"))
    first, second = fresh(rule), fresh(rule)
    for alerts, order in zip((first, second), orders, strict=True):
        for moment in moments:
            play(alerts, moment)
        _obey(alerts, [(action, FINGERPRINTS[0]) for action in order])
    for left, right in zip(first.state.alerts(), second.state.alerts(), strict=True):
        assert replace(left, details=None) == replace(right, details=None)
        assert left.memory.comments == right.memory.comments


def _obey(alerts: Alerting, commands: Iterable[tuple[str, str]]) -> None:
    for action, target in commands:
        alerts.obey(
            action, target, command_id=f"last {action}", text="why",
            ends_at=alerts.at + SECOND, matchers=(Matcher("service", "=", "chat"),),
        )  # fmt: skip


def newest(alerts: Alerting) -> dict[str, tuple[str, bytes]]:
    """What the topic says."""
    return alerts.topic
