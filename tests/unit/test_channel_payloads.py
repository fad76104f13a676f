"""What channels are sent is what their documentation takes, whatever an alert holds."""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

import jsonschema
import pytest
from documented_payloads import ALERTMANAGER, PAGERDUTY, SLACK
from hypothesis import given, settings
from hypothesis import strategies as st
from notices import AT, SECOND, message, notice, words

from inferwatch_streams.notifications.channels.alertmanager import Alertmanager
from inferwatch_streams.notifications.channels.http import Endpoint, Response
from inferwatch_streams.notifications.channels.pagerduty import PagerDuty
from inferwatch_streams.notifications.channels.slack import Slack, escaped
from inferwatch_streams.notifications.channels.webhook import Webhook, signature
from inferwatch_streams.notifications.message import DELIVERED, FAILED, REFUSED, Message
from inferwatch_streams.notifications.notice import (
    ACKNOWLEDGED,
    ALERT,
    FIRING,
    INCIDENT,
    RESOLVED,
    STATES,
    UPDATED,
    Notice,
)
from inferwatch_streams.notifications.secret import Secret

NOW = AT / SECOND + 60.0
SLACK_HOOK = Slack(webhook_url=Secret("https://hooks.slack.example/hush"))
SLACK_BOT = Slack(token=Secret("xoxb-hush"), channel="C1")
PAGER = PagerDuty(routing_key=Secret("hush"))
MANAGER = Alertmanager(url="http://am.example/", resend_seconds=60.0)
KEY = b"0123456789012345678901234567890\x00"
HOOK = Webhook(
    url=Secret("https://hook.example/hush"),
    signing_secret=Secret("whsec_" + base64.b64encode(KEY).decode()),
)
SCHEMAS = {"slack": SLACK, "pagerduty": PAGERDUTY, "alertmanager": ALERTMANAGER}


def body(endpoint: Endpoint, told: Message, **templates: str) -> Any:
    """Return what an endpoint is sent, decoded."""
    return json.loads(endpoint.request(told, words(told, **templates), NOW).body)


TEXT = st.text(max_size=40) | st.sampled_from(["&<>" * 3000, "x" * 20_000, "\n", ""])
NOTICES = st.builds(
    notice, st.text(min_size=1, max_size=300), st.sampled_from(STATES),
    kind=st.sampled_from([ALERT, INCIDENT]), title=TEXT, description=TEXT, news=TEXT,
    severity=st.sampled_from(["low", "medium", "high", "critical", "odd"]),
    labels=st.dictionaries(st.text(min_size=1, max_size=9), TEXT, max_size=3).map(
        lambda labels: tuple(sorted(labels.items()))
    ),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    runbook_url=st.sampled_from([None, "https://runbooks.example/x", "x.md", "http://a b\n"]),
)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(notices=st.lists(NOTICES, min_size=1, max_size=60))
def test_every_payload_is_as_documented(notices: list[Notice]) -> None:
    """Lengths, counts, words and forms."""
    told = message(*notices)
    jsonschema.validate(body(SLACK_HOOK, told), SLACK)
    jsonschema.validate(body(SLACK_BOT, told), SLACK)
    jsonschema.validate(body(PAGER, told), PAGERDUTY)
    jsonschema.validate(body(MANAGER, told), ALERTMANAGER)
    assert len(json.dumps(body(SLACK_HOOK, told)["blocks"], ensure_ascii=False)) < 26_000
    assert len(PAGER.request(told, words(told), NOW).body) < 512 * 1024


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (FIRING, "trigger"),
        (UPDATED, "trigger"),
        (ACKNOWLEDGED, "acknowledge"),
        (RESOLVED, "resolve"),
    ],
)
def test_pagerduty_is_told_by_one_key(state: str, action: str) -> None:
    """What triggers, acknowledges and resolves an alert has its fingerprint."""
    event = body(PAGER, message(notice("f00d", state)))
    assert (event["event_action"], event["dedup_key"], event["routing_key"]) == (
        action, "f00d", "hush",
    )  # fmt: skip


def test_pagerduty_is_never_told_more_than_it_takes() -> None:
    """512 KB of JSON, whatever a label holds."""
    long = "\U0001f600" * 20_000
    labels = tuple((f"{number}{long}", long) for number in range(30))
    told = message(
        notice(
            title=long, description=long, news=long, labels=labels, group=long, name=long,
            runbook_url=f"https://{long}",
        )
    )  # fmt: skip
    request = PagerDuty(routing_key=Secret("k")).request(told, words(told), 0.0)
    assert 100_000 < len(request.body) < 512_000


def test_pagerduty_is_told_what_and_where() -> None:
    """Severities in its own words, the place as source, the runbook as a link."""
    event = body(PAGER, message(notice(severity="high")), link="https://board.example")
    assert event["payload"] == {
        "summary": "[FIRING] high: aa fails",
        "source": "chat",
        "severity": "error",
        "timestamp": "2026-11-24T22:28:04+00:00",
        "component": "chat",
        "group": "g",
        "class": "ErrorRateHigh",
        "custom_details": event["payload"]["custom_details"],
    }
    assert event["payload"]["custom_details"]["value"] == 0.125
    assert [link["text"] for link in event["links"]] == ["Runbook", "Open"]
    nothing = body(PAGER, message(notice(value=0.0, samples=0)))["payload"]["custom_details"]
    assert (nothing["value"], nothing["samples"]) == (0.0, 0)
    assert body(PAGER, message(notice(runbook_url="docs/x.md")))["links"] == []
    on_host = notice(labels=(("host", "gpu-7"), ("service", "chat")))
    assert body(PAGER, message(on_host))["payload"]["source"] == "gpu-7"


def test_slack_shows_a_header_the_texts_and_the_runbook() -> None:
    """And says how many did not fit."""
    told = body(SLACK_HOOK, message(notice(title="<!channel> & co")))
    assert [block["type"] for block in told["blocks"]] == ["header", "section", "actions"]
    assert told["text"] == "[FIRING] high: &lt;!channel&gt; &amp; co"
    assert "&lt;!channel&gt; &amp; co" in told["blocks"][1]["text"]["text"]
    assert told["blocks"][2]["elements"][0]["url"] == "https://runbooks.example/error-rate"
    many = body(SLACK_HOOK, message(*(notice(str(number)) for number in range(100))))
    assert many["blocks"][-1]["elements"][0]["text"].startswith("and ")
    assert len(many["blocks"]) <= 50


@given(text=st.text(alphabet="a&<>"), limit=st.integers(0, 30))
def test_an_escape_is_not_cut(text: str, limit: int) -> None:
    """A cut text is the beginning of the whole one."""
    cut = escaped(text, limit)
    assert len(cut) <= limit
    assert escaped(text, 10**6).startswith(cut)
    assert cut.count("&") == cut.count(";")


def test_a_bot_posts_with_its_token() -> None:
    """In the header alone."""
    told = message(notice())
    request = SLACK_BOT.request(told, words(told), NOW)
    assert request.headers["Authorization"] == "Bearer xoxb-hush"
    assert json.loads(request.body)["channel"] == "C1"
    assert b"hush" not in request.body
    assert "hush" not in repr(request)


def test_alertmanager_is_told_of_all_that_fires_and_of_what_ended() -> None:
    """What fires ends by itself when it is not said again; what ended has ended then."""
    firing, over = notice("a"), notice("b", RESOLVED, 5, labels=(("gpu", "7"), ("empty", "")))
    found = body(MANAGER, message(over, active=(firing,)), link="https://board.example")
    assert [one["labels"]["alertname"] for one in found] == ["ErrorRateHigh"] * 2
    assert found[1]["labels"] == {"gpu": "7", "severity": "high", "alertname": "ErrorRateHigh"}
    ends = [datetime.fromisoformat(one["endsAt"]).timestamp() for one in found]
    assert ends == [NOW + 240.0, AT / SECOND + 5.0]
    assert found[0]["annotations"]["runbook_url"] == "https://runbooks.example/error-rate"
    assert found[0]["generatorURL"] == "https://board.example"
    # One that fires again is not said to be over as well.
    again = message(notice("a", RESOLVED), notice("a", number=2), active=(notice("a", number=2),))
    assert len(body(MANAGER, again)) == 1


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"token": Secret("t")}, "Bearer t"),
        ({"user": "me", "password": Secret("p")}, "Basic bWU6cA=="),
        ({}, None),
    ],
)
def test_alertmanager_may_ask_who_one_is(options: dict[str, Any], header: str | None) -> None:
    """By token or password."""
    manager = Alertmanager(url="http://am.example", resend_seconds=1.0, **options)
    request = manager.request(message(notice()), words(message(notice())), NOW)
    assert request.url == "http://am.example/api/v2/alerts"
    assert request.headers.get("Authorization") == header


def test_a_webhook_is_signed_as_standard_webhooks_has_it() -> None:
    """Id, time and body; the id is the notification's, so that a copy is known."""
    told = message(notice())
    request = HOOK.request(told, words(told), NOW)
    headers = request.headers
    assert headers["webhook-id"] == "aa-firing-1"
    assert headers["webhook-timestamp"] == str(int(NOW))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    event = json.loads(request.body)
    assert (event["type"], event["timestamp"]) == ("alert.firing", "2026-11-24T22:28:05+00:00")
    assert event["data"]["notification_id"] == "aa-firing-1"
    assert "hush" not in repr(HOOK)


def test_the_signature_is_that_of_the_specification_s_example() -> None:
    """Its own secret, id, time and body, as its reference libraries test them."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(
        key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
        b'{"test": 2432232314}',
    )  # fmt: skip
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("endpoint", "status", "text", "outcome", "told"),
    [
        (SLACK_HOOK, 200, "ok", DELIVERED, "200"),
        (SLACK_HOOK, 200, "<html>", FAILED, "garbage"),
        (SLACK_HOOK, 404, "no_service", REFUSED, "404"),
        (SLACK_HOOK, 500, "rollup_error", FAILED, "500"),
        (SLACK_BOT, 200, '{"ok": true}', DELIVERED, "200"),
        (SLACK_BOT, 200, '{"ok": false, "error": "is_archived"}', REFUSED, "is_archived"),
        (SLACK_BOT, 200, '{"ok": false, "error": "ratelimited"}', FAILED, "ratelimited"),
        (SLACK_BOT, 200, '{"ok": false, "error": "a b"}', REFUSED, "error"),
        (SLACK_BOT, 200, "[]", FAILED, "garbage"),
        (SLACK_BOT, 200, "5", FAILED, "garbage"),
        (PAGER, 202, '{"status": "success", "dedup_key": "x"}', DELIVERED, "202"),
        (PAGER, 202, "{}", FAILED, "garbage"),
        (PAGER, 202, "null", FAILED, "garbage"),
        (PAGER, 400, '{"status": "invalid event"}', REFUSED, "400"),
        (PAGER, 429, "", FAILED, "429"),
        (MANAGER, 200, "", DELIVERED, "200"),
        (MANAGER, 400, "bad", REFUSED, "400"),
        (HOOK, 204, "", DELIVERED, "204"),
        (HOOK, 301, "", REFUSED, "301"),
        (HOOK, 408, "", FAILED, "408"),
        (HOOK, 410, "", REFUSED, "410"),
        (HOOK, 502, "", FAILED, "502"),
    ],
)  # fmt: skip
def test_answers_mean_done_never_or_later(
    endpoint: Endpoint, status: int, text: str, outcome: str, told: str
) -> None:
    """As each one documents its own."""
    answer = endpoint.judge(Response(status, text, 3.0))
    assert (answer.outcome, answer.status) == (outcome, told)
    if status == 429:
        assert answer.wait_seconds == 3.0
