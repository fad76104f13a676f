"""Messages in words: the default templates, and a team's own, which may fail."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notices import AT, message, notice, words
from prometheus_client import REGISTRY

from inferwatch_streams.notifications.notice import ACKNOWLEDGED, INCIDENT, RESOLVED, STATES
from inferwatch_streams.notifications.templates import (
    NotificationTemplateError,
    Templates,
    duration_text,
)


def test_the_default_says_all_that_one_needs_to_begin() -> None:
    """What, where, since when, value against threshold, runbook, how to acknowledge."""
    told = words(message(notice()))
    assert told.title == "[FIRING] high: aa fails"
    assert told.texts == (
        (
            "aa fails\n"
            "State: firing, high\n"
            "Rule: ErrorRateHigh\n"
            "Where: model=m-1, service=chat\n"
            "Since: 2026-11-24 22:28:04Z (1s)\n"
            "Value: 0.125 against 0.05, of 1200 samples\n"
            "One in eight calls fails.\n"
            "Runbook: https://runbooks.example/error-rate\n"
            "Acknowledge: inferwatch alerts ack aa\n"
        ),
    )


def test_a_title_says_what_holds_of_several() -> None:
    """The worst that goes on; what is over comes first only where all is."""
    told = words(message(notice("a"), notice("a", RESOLVED), notice("b", severity="low")))
    assert told.title == "[FIRING:2] low: b fails"
    assert words(message(notice("a"), notice("a", RESOLVED))).title == "[RESOLVED] high: a fails"
    many = words(message(*(notice(str(number)) for number in range(60))))
    assert (len(many.texts), many.left_out, many.body[-12:]) == (50, 10, "and 10 more\n")
    assert words(message(notice("a"), repeat=2)).title == "[FIRING] high: a fails (still)"


def test_an_incident_is_told_with_its_priority_and_news() -> None:
    """And acknowledged by its own command."""
    incident = notice(
        "i-1", kind=INCIDENT, name="P1", title="chat is down", news="Nobody answered."
    )
    told = words(message(incident))
    assert told.title == "[FIRING] P1 chat is down"
    assert "Priority: P1\n" in told.body
    assert "Nobody answered.\n" in told.body
    assert "inferwatch incidents ack i-1\n" in told.body
    by = words(message(notice(state=ACKNOWLEDGED, actor="ada")))
    assert "State: acknowledged, high, by ada\n" in by.body


def test_own_templates_speak_and_a_failing_one_gives_way() -> None:
    """People hear in any case, and that it failed is counted."""
    own = words(
        message(notice()), title="{{ labels.service | upper }} {{ labels.none }}", link="x/{{ id }}"
    )
    assert (own.title, own.link) == ("CHAT", "x/aa")
    name = "inferwatch_notification_template_failures_total"
    before = REGISTRY.get_sample_value(name) or 0.0
    assert words(message(notice()), title="{{ value / 0 }}").title == "[FIRING] high: aa fails"
    assert words(message(notice()), title="{{ labels.__class__.__mro__ }}").title
    assert (REGISTRY.get_sample_value(name) or 0.0) > before


@pytest.mark.parametrize(
    "text", ["{{ secret }}", "{% include 'x' %}{{ config }}", "{{ title", "{{ 1 | nope }}"]
)
def test_what_cannot_be_a_template_is_refused(text: str) -> None:
    """When the file is read, not when something fires."""
    with pytest.raises(NotificationTemplateError):
        Templates({"title": text})


@settings(deadline=None)
@given(
    state=st.sampled_from(STATES), title=st.text(), value=st.none() | st.floats(),
    labels=st.dictionaries(st.text(min_size=1), st.text(), max_size=3),
    until=st.none() | st.just(AT),
)  # fmt: skip
def test_anything_can_be_told(
    state: str, title: str, value: float | None, labels: dict[str, str], until: int | None
) -> None:
    """In one line and a text."""
    told = words(message(notice(
        state=state, title=title, value=value, labels=tuple(sorted(labels.items())), until=until
    )))  # fmt: skip
    assert "\n" not in told.title
    assert told.texts[0]


def test_durations_are_told_in_two_units() -> None:
    """The largest two."""
    shown = [duration_text(seconds * 1_000_000) for seconds in (-1, 0, 59, 3_900, 90_061, 172_805)]
    assert shown == ["0s", "0s", "59s", "1h 5m", "1d 1h", "2d 5s"]


def test_controls_of_labels_reach_nobody() -> None:
    """Neither terminals nor mail servers have to take what a service put into a name."""
    told = message(notice(title="a\x00\x1b]0;b\x07\r\nBcc: c", description="d\x1b[2J\ne"))
    said = words(told)
    assert said.title == "[FIRING] high: a ]0;b Bcc: c"
    assert "d [2J\ne" in said.body
