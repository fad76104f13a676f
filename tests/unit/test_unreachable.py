"""Sentences about a Kafka that is not reached, from librdkafka's own words."""

import pytest

from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.unreachable import unreachable

PLAIN = KafkaSettings("k:9093")
SASL = KafkaSettings("k:9093", "SASL_SSL", "PLAIN", "alice", "s3cret")


def test_a_password_that_is_refused() -> None:
    """The user and the broker's reason are told, and what may be wrong."""
    heard = (
        "sasl_ssl://k:9093/bootstrap: SASL authentication error: Authentication failed: Invalid "
        "username or password (after 307ms in state AUTH_REQ)"
    )
    assert unreachable(SASL, heard) == (
        "Kafka at k:9093 refuses user 'alice' by PLAIN (SASL authentication error: Authentication "
        "failed: Invalid username or password); check --security-protocol, --sasl-mechanism, "
        "--sasl-username and --sasl-password."
    )


def test_a_certificate_that_is_not_trusted() -> None:
    """The client does not say what is wrong with it: all that may be is told."""
    heard = (
        "sasl_ssl://k:9093/bootstrap: SSL handshake failed: error:0A000086:SSL routines::"
        "certificate verify failed: broker certificate could not be verified, verify that "
        "ssl.ca.location is correctly configured (after 7ms in state SSL_HANDSHAKE)"
    )
    assert unreachable(SASL, heard) == (
        "Kafka at k:9093 shows a certificate that cannot be verified: it is of an unknown "
        "authority, for another host, or not of this time; check --ssl-ca-location and "
        "--bootstrap-servers."
    )


@pytest.mark.parametrize(
    ("words", "alert"),
    [
        ("ssl/tls alert bad certificate", "bad certificate"),
        ("sslv3 alert certificate unknown", "certificate unknown"),
        ("tlsv13 alert certificate required", "certificate required"),
    ],
)
def test_a_client_certificate_that_is_missing(words: str, alert: str) -> None:
    """The broker's alert is told, whatever version of TLS OpenSSL names it after."""
    heard = (
        f"ssl://k:9093/bootstrap: Receive failed: error:0A000412:SSL routines::{words}: "
        "SSL alert number 42 (after 0ms in state APIVERSION_QUERY)"
    )
    assert unreachable(SASL, heard) == (
        f"Kafka at k:9093 refuses the TLS connection ({alert}), as where it wants a client "
        "certificate that it trusts; check --ssl-certificate-location and --ssl-key-location."
    )


@pytest.mark.parametrize("kafka", [PLAIN, SASL])
def test_nobody_there(kafka: KafkaSettings) -> None:
    """Anything else is told in librdkafka's words."""
    heard = "k:9093/bootstrap: Connect failed: Connection refused (after 0ms in state CONNECT)"
    assert unreachable(kafka, heard) == (
        "Kafka at k:9093 does not answer: k:9093/bootstrap: Connect failed: Connection refused; "
        "check that it runs, --bootstrap-servers and --security-protocol."
    )
