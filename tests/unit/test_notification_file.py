"""The file of notifications: what is wrong is told with its line, and secrets are told nowhere."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from notices import notice

from inferwatch_streams.configuration.file import ConfigurationFile
from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.notifications.channels.kinds import KINDS
from inferwatch_streams.notifications.configuration import (
    NotificationsConfiguration,
    read_configuration,
)
from inferwatch_streams.notifications.file_schema import FILE_SCHEMA
from inferwatch_streams.notifications.manner import Limit, Timing
from inferwatch_streams.notifications.notice import ACKNOWLEDGED, INCIDENT, RESOLVED

KEY = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
ENVIRONMENT = {"HOOK": "https://hooks.slack.example/T1/hush", "PD": "hush-pd", "KEY": KEY}
GOOD = """
channels:
  ops:
    type: slack
    webhook_url: {env: HOOK}
    limit: {messages: 5, per: 10s}
    send_resolved: false
    templates: {title: "{{ severity }} {{ labels.service }}"}
  on-call: {type: pagerduty, routing_key: {env: PD}, give_up_after: 5m}
  hook: {type: webhook, url: {env: HOOK}, signing_secret: {env: KEY}}
  am: {type: alertmanager, url: "http://127.0.0.1:9093", resend_interval: 30s}
  mail: {type: email, host: mail.example, from: a@b.example, to: [c@d.example]}
  other: {type: apprise, url: {file: SECRET_FILE}}
routes:
- match: ['severity=~high|critical']
  channels: [on-call, am]
  continue: true
- match: [service=chat]
  channels: [ops]
  group_by: [service, rule]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 1h
- channels: [mail, on-call]
"""


def read(
    folder: Path, text: str, environment: dict[str, str] | None = None
) -> NotificationsConfiguration:
    """Read a file of this text."""
    (folder / "secret").write_text("json://127.0.0.1/hush\n", encoding="utf-8")
    path = folder / "n.yaml"
    path.write_text(text.replace("SECRET_FILE", str(folder / "secret")), encoding="utf-8")
    return read_configuration(path, ENVIRONMENT if environment is None else environment)


def refusal(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    """Return the lines by which a text is refused, without the folder."""
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text, environment)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_a_sound_file_says_who_is_told_of_what(tmp_path: Path) -> None:
    """The first route that matches, those after it where it says so, each channel once."""
    found = read(tmp_path, GOOD)
    assert found.channels["ops"].manner.limit == Limit(5, 10.0)
    assert found.channels["on-call"].manner.give_up_seconds == 300.0
    assert found.channels["other"].options["url"].reveal() == "json://127.0.0.1/hush"

    def told(**others: str) -> list[tuple[str, str]]:
        return [(one.channel, one.group) for one in found.routing.destinations(notice(**others))]

    assert told() == [("on-call", "aa"), ("am", ""), ("ops", '1/["chat", "ErrorRateHigh"]')]
    assert told(severity="low") == [("ops", '1/["chat", "ErrorRateHigh"]')]
    other = notice(severity="low", labels=(("service", "search"),))
    assert [one.channel for one in found.routing.destinations(other)] == ["mail", "on-call"]
    timings = {one.channel: one.timing for one in found.routing.destinations(notice())}
    assert timings["ops"] == Timing(30.0, 300.0, 3600.0)
    assert timings["am"] == Timing(repeat_interval=30.0)


def test_incidents_name_their_channels(tmp_path: Path) -> None:
    """No route takes them, and unknown ones are known as such."""
    routing = read(tmp_path, GOOD).routing
    incident = notice("i1", kind=INCIDENT, channels=("mail", "nobody", "mail"))
    assert [one.channel for one in routing.destinations(incident)] == ["mail"]
    assert routing.unknown_channels(incident) == ("nobody",)


def test_channels_hear_what_they_want(tmp_path: Path) -> None:
    """E-mail and Alertmanager hear of no acknowledgement by themselves."""
    tastes = read(tmp_path, GOOD).routing.tastes
    assert not tastes["ops"].wants(notice(state=RESOLVED))
    acknowledged = notice(state=ACKNOWLEDGED)
    assert {name for name, taste in tastes.items() if taste.wants(acknowledged)} == {
        "ops", "on-call", "hook",
    }  # fmt: skip


def test_the_schema_is_one_and_describes_the_good_file() -> None:
    """Editors take it."""
    jsonschema.Draft202012Validator.check_schema(FILE_SCHEMA)
    assert set(KINDS) == {"slack", "pagerduty", "alertmanager", "webhook", "email", "apprise"}


def test_what_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    """All of it at once, as far as the fields are there."""
    assert refusal(
        tmp_path,
        "channels:\n"
        "  pd: {type: pagerduty, routing_key: {env: UNSET}, timeout: 0s}\n"
        "  ops: {type: slack, webhook_url: {env: HOOK}, "
        "templates: {title: '{{ nme }}', text: '{% x'}}\n"
        "  hook: {type: webhook, url: {env: HOOK}, signing_secret: {env: PD}}\n"
        "  both: {type: slack, webhook_url: {env: HOOK}, token: {env: PD}, channel: C}\n"
        "  other: {type: apprise, url: {env: PD}}\n"
        "routes:\n"
        "- channels: [pd, nowhere]\n"
        "  match: [severity~x]\n"
        "  repeat_interval: 0s\n",
    ) == [
        (
            "n.yaml:2: channels.pd.routing_key: the variable UNSET is not set, or empty; set it "
            "to the secret."
        ),
        "n.yaml:2: channels.pd.timeout: '0s' is no time at all; give more than that.",
        "n.yaml:3: channels.ops.templates.text: is no template: Encountered unknown tag 'x'.",
        (
            "n.yaml:3: channels.ops.templates.title: names nme, which a title does not have; there "
            "are acknowledge, actor, count, description, duration, id, kind, labels, "
            "name, news, repeat, runbook_url, samples, severity, since, state, threshold, title, "
            "until, value."
        ),
        (
            "n.yaml:4: channels.hook: the signing secret must be whsec_ and base64 of 24 to 64 "
            "bytes; make one with: echo whsec_$(openssl rand -base64 32)"
        ),
        "n.yaml:5: channels.both: has a webhook_url and a token; give one of them.",
        (
            "n.yaml:6: channels.other: apprise knows no service of that URL; see "
            "https://github.com/caronc/apprise/wiki"
        ),
        (
            "n.yaml:8: routes[0].channels[1]: 'nowhere' is no channel; there are: pd, ops, hook, "
            "both, other."
        ),
        "n.yaml:9: routes[0].match[0]: 'severity~x' is no matcher; write as in service=\"chat\".",
        "n.yaml:10: routes[0].repeat_interval: '0s' would repeat without end.",
    ]


@pytest.mark.parametrize(
    ("channel", "line"),
    [
        ("{type: slack}", "channels.x: 'webhook_url' is a required property"),
        ("{type: pager}", "channels.x.type: 'pager' is not one of"),
        ("{}", "channels.x: 'type' is a required property"),
        ("{type: email, host: h, from: a@b, to: []}", "channels.x.to: [] should be non-empty"),
        ("{type: pagerduty, routing_key: {env: PD}, foo: 1}", "channels.x: Additional properties"),
        ("{type: alertmanager, url: 'ftp://h'}", "channels.x.url: 'ftp://h' does not match"),
    ],
)
def test_fields_of_each_kind_are_held_to_the_schema(
    tmp_path: Path, channel: str, line: str
) -> None:
    """And told where they stand."""
    (told,) = refusal(tmp_path, f"channels:\n  x: {channel}\n")
    assert told.startswith(f"n.yaml:2: {line}")


@pytest.mark.parametrize(
    "channel",
    [
        "{type: slack, webhook_url: hush}",
        "{type: slack, webhook_url: {env: HOOK, secret: hush}}",
        "{type: slack, token: hush, webhook_url: hush, channel: 5}",
        "{type: slack, webhok: 1, token: [hush], channel: c}",
        "{type: pagerduty, routing_key: hush, other: 1}",
        "{type: webhook, url: 'https://hush', signing_secret: 5}",
        "{type: alertmanager, url: 'http://me:hush@h'}",
        "{type: alertmanager, url: 'http://h', password: hush}",
        "{type: email, host: h, from: a@b, to: [c@d], password: hush}",
        "{type: apprise, url: 'slack://hush'}",
        "{webhook_url: hush}",
        "{type: nope, password: hush}",
        "{type: [slack], token: hush}",
    ],
)
def test_a_secret_itself_is_refused_and_not_shown(tmp_path: Path, channel: str) -> None:
    """Whatever else is wrong beside it."""
    told = refusal(tmp_path, f"channels:\n  x: {channel}\n")
    assert any("must not be the secret itself" in line for line in told)
    assert not any("hush" in line for line in told)


@pytest.mark.parametrize("content", [b"", b"\xff\xfehush", b"hush" * 20_000])
def test_a_file_that_holds_no_secret_is_told_without_what_it_holds(
    tmp_path: Path, content: bytes
) -> None:
    """The error's cause does not hold it either."""
    (tmp_path / "s").write_bytes(content)
    text = f"channels:\n  x: {{type: apprise, url: {{file: {tmp_path / 's'}}}}}\n"
    assert "hush" not in repr(refusal(tmp_path, text))
    assert "cannot be read" in refusal(tmp_path, text.replace("/s}", "/absent}"))[0]


def test_nothing_that_is_read_shows_a_secret(tmp_path: Path) -> None:
    """Neither the configuration nor what is made of it."""
    found = read(tmp_path, GOOD)
    shown = repr(found) + repr([one.open() for one in found.channels.values()])
    shown += repr([vars(one.open()) for one in found.channels.values()])
    for secret in found.secrets:
        assert secret.reveal() not in shown
    assert len(found.secrets) == 5
    assert "hush" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "channels: [{name: ops, type: slack, webhook_url: 'https://hooks.example/hush'}]\n",
        "channels: {ops: [{type: pagerduty, routing_key: hush}]}\n",
        "- {type: webhook, url: 'http://127.0.0.1/hush'}\n",
        "channels: {ops: {type: slack, slack_configs: [{webhook_url: 'https://x/hush'}]}}\n",
    ],
)
def test_a_secret_at_a_wrong_place_is_refused_unseen(tmp_path: Path, text: str) -> None:
    """What is of another shape is told with its value, but not where that holds a secret."""
    (told,) = refusal(tmp_path, text)
    assert "must not be the secret itself" in told
    assert "hush" not in told


def test_a_channel_may_be_called_like_a_secret(tmp_path: Path) -> None:
    """Its name says nothing of what it is."""
    found = read(tmp_path, "channels: {token: {type: pagerduty, routing_key: {env: PD}}}\n")
    assert [*found.channels] == ["token"]


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes a secret into it meanwhile does not find it in the log."""
    sound = "channels: {ops: {type: slack, webhook_url: {env: HOOK}}}"
    reads: list[Path] = []

    def written_to(path: Path, schema: dict[str, Any]) -> ConfigurationFile:
        reads.append(path)
        return ConfigurationFile(str(path), sound if len(reads) == 1 else "channels: hush", schema)

    monkeypatch.setattr(ConfigurationFile, "read", written_to)
    assert read(tmp_path, sound).channels
    assert len(reads) == 1


def test_a_path_that_is_none_is_told(tmp_path: Path) -> None:
    """Of a secret, with the field that names it."""
    (line,) = refusal(tmp_path, 'channels:\n  x: {type: slack, webhook_url: {file: "a\\0b"}}\n', {})
    assert line.startswith("n.yaml:2: channels.x.webhook_url: a\0b cannot be read: ")


def test_a_secret_of_two_lines_is_refused(tmp_path: Path) -> None:
    """Headers cannot hold it, and what refuses it there would show it."""
    text = "channels: {am: {type: alertmanager, url: 'http://x', token: {env: TWO}}}\n"
    (told,) = refusal(tmp_path, text, {"TWO": "hush\nhush"})
    assert told.endswith("TWO holds line ends or other controls; keep one secret in it.")
