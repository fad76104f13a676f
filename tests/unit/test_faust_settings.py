"""Kafka settings as Faust takes them: servers, credentials, certificates, and nothing told."""

import logging
import ssl
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth, server_list

from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.faust import check_connects, faust_settings, holds_no_credentials
from inferwatch_schemas.kafka import KafkaSettings, KafkaSettingsError
from inferwatch_streams.settings import AggregationSettings

SASL: dict[str, Any] = {"sasl_username": "u", "sasl_password": "s3cret"}


def settings(kafka: KafkaSettings) -> dict[str, Any]:
    """Settings of an app."""
    return faust_settings(
        kafka, commit_seconds=2.0, session_timeout_seconds=30.0, fetch_bytes=1_000
    )


def app(kafka: KafkaSettings) -> faust.App:
    """An app that is not started."""
    return faust.App("test", **settings(kafka))


def auth(kafka: KafkaSettings) -> dict[str, Any]:
    """What reaches aiokafka of the credentials, through an app's own settings."""
    return dict(credentials_to_aiokafka_auth(app(kafka).conf.broker_credentials, None))


def test_every_server_reaches_aiokafka() -> None:
    """Servers with blanks between them are those of the app, by the transport of chunks."""
    urls = app(KafkaSettings("a:1, b:2")).conf.broker
    assert {url.scheme for url in urls} == {"chunks"}
    assert server_list(urls, 9092) == ["a:1", "b:2"]


def test_times_and_sizes() -> None:
    """Heartbeats come several times a session, and no request is given up before its end."""
    found = settings(KafkaSettings())
    assert found["broker_commit_interval"] == 2.0
    assert found["consumer_max_fetch_size"] == 1_000
    assert found["broker_heartbeat_interval"] <= found["broker_session_timeout"] / 3
    assert found["broker_request_timeout"] > found["broker_session_timeout"]


def test_without_security() -> None:
    """A plain connection has no credentials."""
    assert auth(KafkaSettings()) == {"security_protocol": "PLAINTEXT"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_password_in_the_clear(mechanism: str) -> None:
    """User, password and mechanism reach aiokafka, without TLS."""
    assert auth(KafkaSettings("a:1", "SASL_PLAINTEXT", mechanism, **SASL)) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "u",
        "sasl_plain_password": "s3cret",
        "ssl_context": None,
    }


@pytest.mark.parametrize(
    ("protocol", "sasl"), [("SSL", {}), ("SASL_SSL", {"sasl_mechanism": "PLAIN", **SASL})]
)
def test_tls_verifies_certificate_and_host(protocol: str, sasl: dict[str, Any]) -> None:
    """With TLS the broker's certificate is required, and has to be for its host."""
    found = auth(KafkaSettings("a:1", protocol, **sasl))
    assert found["security_protocol"] == protocol
    assert found["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert found["ssl_context"].check_hostname


@pytest.mark.parametrize("wrong", ["ssl_ca_location", "ssl_certificate_location"])
def test_files_that_hold_no_pem_are_told(tmp_path: Path, wrong: str) -> None:
    """Files that Python cannot use are a sentence about the settings."""
    file = tmp_path / "garbage.pem"
    file.write_text("garbage")
    given = {wrong: str(file)}
    if wrong == "ssl_certificate_location":
        given["ssl_key_location"] = str(file)
    with pytest.raises(KafkaSettingsError, match="check --ssl-ca-location"):
        settings(KafkaSettings("a:1", "SSL", **given))


def test_no_text_holds_the_password() -> None:
    """Neither the settings nor what Faust makes of them show it."""
    kafka = KafkaSettings("a:1", "SASL_PLAINTEXT", "PLAIN", **SASL)
    for shown in (settings(kafka), AggregationSettings(kafka), app(kafka), app(kafka).conf):
        assert "s3cret" not in f"{shown!r} {shown!s}"
    assert "s3cret" not in str(app(kafka).conf.broker_credentials)


def test_aiokafka_logs_no_credentials(caplog: pytest.LogCaptureFixture) -> None:
    """At debug level it logs every request, with PLAIN's password; but for these."""
    logger = logging.getLogger("aiokafka.conn")
    auth(KafkaSettings("a:1", "SASL_PLAINTEXT", "PLAIN", **SASL))
    with caplog.at_level(logging.DEBUG, logger="aiokafka.conn"):
        logger.debug("Request %s", "SaslAuthenticateRequest_v1(sasl_auth_bytes=b'u\\x00s3cret')")
        logger.debug("Request %s", "MetadataRequest_v1()")
    assert [record.getMessage() for record in caplog.records] == ["Request MetadataRequest_v1()"]
    assert logger.filters.count(holds_no_credentials) == 1


def test_nobody_there_is_told() -> None:
    """A server that refuses connections is one sentence, with the server and the reason."""
    with pytest.raises(KafkaUnavailableError, match=r"127\.0\.0\.1:1 .*Connect call failed"):
        check_connects(KafkaSettings("127.0.0.1:1"))
