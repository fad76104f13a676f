"""Kafka settings: what cannot be is refused, and both ways of passing them on agree."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_schemas.kafka import MECHANISMS, KafkaSettings, KafkaSettingsError

SASL: dict[str, Any] = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "PLAIN",
    "sasl_username": "u",
    "sasl_password": "secret",
}


@pytest.mark.parametrize("servers", ["", "host", "host:", ":9092", "host:x", "a:1,", "a:1,b"])
def test_servers_must_have_host_and_port(servers: str) -> None:
    """Each server needs a host and a port."""
    with pytest.raises(KafkaSettingsError, match="host:port"):
        KafkaSettings(servers)


@pytest.mark.parametrize("servers", ["host:1", "a:1,b:2", "a:1, b:2", "[::1]:9092"])
def test_servers_that_fit(servers: str) -> None:
    """Several servers, blanks between them and IPv6 are taken."""
    assert KafkaSettings(servers).confluent()["bootstrap.servers"] == servers


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"security_protocol": "TLS"}, "security.protocol is 'TLS'; use one of PLAINTEXT"),
        ({"sasl_mechanism": None}, "sasl.mechanism is None; use one of PLAIN"),
        ({"sasl_mechanism": "GSSAPI"}, "sasl.mechanism is 'GSSAPI'"),
        ({"sasl_username": None}, "SASL needs both"),
        ({"sasl_password": None}, "SASL needs both"),
        ({"ssl_ca_location": "no/such/file"}, "ssl.ca.location names 'no/such/file'"),
        ({"ssl_certificate_location": __file__}, "needs both ssl.certificate.location and"),
        ({"ssl_key_location": __file__}, "needs both ssl.certificate.location and"),
        (
            {"security_protocol": "SSL"},
            "sasl.mechanism is set, but security.protocol is SSL; make that SASL_PLAINTEXT or",
        ),
        (
            {"security_protocol": "SASL_PLAINTEXT", "ssl_ca_location": __file__},
            "ssl.ca.location is set, but security.protocol is SASL_PLAINTEXT; make that SSL or",
        ),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, Any], sentence: str) -> None:
    """Each setting that cannot be is a sentence that names it."""
    with pytest.raises(KafkaSettingsError, match=sentence):
        KafkaSettings(**{**SASL, **changed})


def test_no_password_is_shown() -> None:
    """The text of the settings, as in a log, holds neither the user's nor the key's."""
    key = dict.fromkeys(("ssl_certificate_location", "ssl_key_location"), __file__)
    opened = KafkaSettings(**SASL, **key, ssl_key_password=SASL["sasl_password"])
    assert "secret" not in repr(opened)


def test_confluent_names() -> None:
    """The names of librdkafka have dots, and what is not set is left to it."""
    assert KafkaSettings("a:1", **SASL).confluent() == {
        "bootstrap.servers": "a:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "u",
        "sasl.password": "secret",
    }


def test_files_that_can_be_read_are_taken(tmp_path: Path) -> None:
    """Certificates that exist are passed on."""
    file = tmp_path / "ca.pem"
    file.write_text("")
    kafka = KafkaSettings(security_protocol="SSL", ssl_ca_location=str(file))
    assert kafka.confluent()["ssl.ca.location"] == str(file)


@given(
    st.builds(
        KafkaSettings,
        st.sampled_from(["a:1", "a:1,b:2"]),
        st.sampled_from(["SASL_SSL", "SASL_PLAINTEXT"]),
        st.sampled_from(MECHANISMS),
        st.text(),
        st.text(),
    )
    | st.builds(KafkaSettings, st.just("a:1"), st.sampled_from(["PLAINTEXT", "SSL"]))
)
def test_the_environment_carries_the_settings(settings: KafkaSettings) -> None:
    """Settings written to an environment are the same when read back."""
    environment = {**settings.to_environment(), "OTHER": "x"}
    assert KafkaSettings.from_environment(environment) == settings
