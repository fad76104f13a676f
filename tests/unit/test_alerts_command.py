"""``inferwatch alerts``: what is told before anything is published."""

import pytest
from typer.testing import CliRunner

from inferwatch.alerting import find
from inferwatch.errors import CommandError
from inferwatch.main import app
from inferwatch_streams.alerts.alert import Alert, fingerprint_of

NOBODY = {"INFERWATCH_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["silence", "service"], "'service' is no matcher; write as in service=\"chat\"."),
        (["silence", "service=~("], "is no regular expression"),
        (["silence", "service=~.*"], "That would match every alert"),
        (["silence", "service=chat", "--for", "long"], "--for: 'long' is no length of time"),
        (["silence", "service=chat", "--for", "0s"], "--for: '0s' is no time at all"),
        (["comment", "3f2a", " "], "The comment has no text."),
        (["ack", "3f2a", "--comment", ""], "The comment has no text."),
        (["comment", "3f2a", "x" * 1001], "The comment has more than 1000 characters."),
    ],
)
def test_what_cannot_be_is_told_before_kafka_is_asked(arguments: list[str], sentence: str) -> None:
    """In one sentence."""
    done = CliRunner().invoke(app, ["alerts", *arguments], env=NOBODY)
    assert sentence in str(done.exception)


def test_an_alert_is_named_by_what_only_it_begins_with() -> None:
    """Nothing names none, and a whole fingerprint names its own."""
    alerts = {
        name: Alert(
            fingerprint=name, event_time=1, rule="r", kind="k", severity="low", status="firing",
            transition_id="t", labels=(), summary="", started_at=1,
        )
        for name in ("ab", "abc", "bcd")
    }  # fmt: skip
    assert find(alerts, "ab").fingerprint == "ab"
    assert find(alerts, "b").fingerprint == "bcd"
    for name, sentence in [("a", "2 alerts begin with 'a'"), ("", "no alert"), ("x", "no alert")]:
        with pytest.raises(CommandError, match=sentence):
            find(alerts, name)


def test_a_fingerprint_is_the_same_everywhere() -> None:
    """It is on the topic for as long as alerts are: a change of it would fire all anew."""
    assert fingerprint_of("errors", {"service": "größe", "a": "1"}) == "b877d29ff2792758"
