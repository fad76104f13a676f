"""E-mail, against a server that takes it, refuses it, hangs, and speaks TLS or does not."""

import email
import email.policy
import ssl
from pathlib import Path

import pytest
from certificates import Authority, Pair
from mail_server import mail_server

from inferwatch_streams.notifications.channels.email import PLAIN, STARTTLS, TLS, Email
from inferwatch_streams.notifications.message import (
    DELIVERED,
    FAILED,
    REFUSED,
    Answer,
    Message,
    message_id,
)
from inferwatch_streams.notifications.secret import Secret
from inferwatch_streams.notifications.templates import Templates
from inferwatch_streams.notifications.trial import notices

FIRING, RESOLVED = notices("critical", 1_795_559_284_000_000)


def told(*of: object, repeat: int = 0) -> Message:
    """Return the message of a test that fires."""
    assert not of
    return Message(
        message_id=message_id([FIRING], repeat),
        group="g",
        notices=(FIRING,),
        active=(FIRING,),
        repeat=repeat,
        deadline=0.0,
    )


def send(port: int, security: str = PLAIN, **others: object) -> Answer:
    """Send it to a server on this port."""
    given: dict[str, object] = {
        "host": "localhost", "port": port, "sender": "inferwatch@here.example",
        "to": ("ada@there.example", "bob@there.example"), "security": security,
        "timeout_seconds": 5.0,
    }  # fmt: skip
    mail = Email(**given | others)  # type: ignore[arg-type]  # as the class names them
    assert "hush" not in repr(mail)
    return mail.send(told(), Templates({}).words(told()))


def test_a_mail_says_it_as_text_and_as_html() -> None:
    """With an id by which servers know a copy, and for every address."""
    with mail_server() as server:
        assert send(server.port) == Answer(DELIVERED, "250", "taken for 2 addresses")
    (data,) = server.mails
    mail = email.message_from_bytes(data, policy=email.policy.default)
    assert mail["Subject"] == "[FIRING] critical: This is a test of Inferwatch's notifications"
    assert mail["To"] == "ada@there.example, bob@there.example"
    assert mail["Message-ID"] == f"<{FIRING.notice_id}.inferwatch@here.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert f"inferwatch alerts ack {FIRING.subject}" in text.get_content()
    assert "Inferwatch&#39;s" in html.get_content()
    assert [line for line in server.verbs if line.startswith("rcpt")] == [
        "rcpt TO:<ada@there.example>", "rcpt TO:<bob@there.example>",
    ]  # fmt: skip


@pytest.mark.parametrize("leave", ["500 stay", ""])
def test_a_mail_that_is_taken_is_delivered_however_the_server_takes_leave(leave: str) -> None:
    """Else it would be sent again and again."""
    with mail_server(QUIT=leave) as server:
        assert send(server.port).outcome == DELIVERED
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("replies", "outcome", "status"),
    [
        ({"RCPT": "550 no such user"}, REFUSED, "550"),
        ({"RCPT": "450 mailbox busy"}, FAILED, "450"),
        ({"MAIL": "554 policy"}, REFUSED, "554"),
        ({"DATA": "452 full"}, FAILED, "452"),
        ({"MAIL_END": "554 spam"}, REFUSED, "554"),
        ({"AUTH": "535 wrong hush"}, REFUSED, "535"),
        ({"CONNECT": "421 later"}, FAILED, "421"),
        ({"DATA": ""}, FAILED, "connection"),
        ({"CONNECT": "HTTP/1.1 400 Bad Request"}, FAILED, "garbage"),
    ],
)
def test_what_a_server_says_is_an_answer(
    replies: dict[str, str], outcome: str, status: str
) -> None:
    """Later where it may do better then, else never."""
    with mail_server(**replies) as server:
        answer = send(server.port, user="me", password=Secret("hush"))
    assert (answer.outcome, answer.status) == (outcome, status)
    assert "hush" not in repr(answer)
    assert server.mails == [] or "MAIL_END" in replies


def test_a_server_that_is_not_there_or_hangs_is_told() -> None:
    """Within the time limit."""
    assert send(1).status == "connection"
    with mail_server(CONNECT="220-go on") as server:
        answer = send(server.port, timeout_seconds=0.2)
    assert (answer.outcome, answer.status) == (FAILED, "connection")
    assert "timed out" in answer.detail


def test_tls_that_is_not_offered_is_not_done_without() -> None:
    """Neither the password nor the mail goes in the clear."""
    with mail_server() as server:
        answer = send(server.port, STARTTLS, password=Secret("hush"))
    assert (answer.outcome, answer.status) == (REFUSED, "unsupported")
    assert not any(line.upper().startswith(("AUTH", "MAIL")) for line in server.verbs)
    with mail_server() as server:
        assert send(server.port, TLS, timeout_seconds=0.5).outcome == FAILED


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority of its own."""
    return Authority.create(tmp_path_factory.mktemp("mail"), "mail authority")


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Pair:
    """The mail server's certificate."""
    return authority.sign("mail server", "DNS:localhost")


def test_starttls_is_begun_before_the_password(authority: Authority, certificate: Pair) -> None:
    """With a server whose certificate is trusted; with another one nothing is sent."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate, certificate.key)
    ca_file = str(authority.own.certificate)
    with mail_server(context) as server:
        answer = send(server.port, STARTTLS, password=Secret("hush"), ca_file=ca_file)
        assert answer.outcome == DELIVERED, answer
        names = [line.split()[0].upper() for line in server.verbs]
        assert names.index("STARTTLS") < names.index("AUTH") < names.index("MAIL")
    with mail_server(context) as server:
        assert send(server.port, STARTTLS).status == "tls"
        assert server.mails == []


def test_a_file_of_authorities_that_is_none_is_told(tmp_path: Path) -> None:
    """When something is to be sent."""
    with mail_server() as server:
        assert send(server.port, ca_file=str(tmp_path / "absent")).outcome == FAILED
