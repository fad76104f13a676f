"""How to reach Kafka: the same settings for both clients, confluent-kafka and aiokafka."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inferwatch_schemas.errors import SchemasError

if TYPE_CHECKING:
    from collections.abc import Mapping

LAST_PORT = 65535
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class KafkaSettingsError(SchemasError):
    """A connection setting is missing or cannot be; the message says what to change."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Bootstrap servers and security, in Kafka's own terms.

    Attributes:
        bootstrap_servers: ``host:port``, several separated by commas.
        security_protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        sasl_mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, with a SASL protocol.
        sasl_username: With a SASL protocol.
        sasl_password: With a SASL protocol.
        ssl_ca_location: File of trusted certificates (PEM); the system's when None.
        ssl_certificate_location: Client certificate (PEM), for mutual TLS.
        ssl_key_location: Its key (PEM); the same file where that holds both.
        ssl_key_password: Opens the key where it is encrypted.
    """

    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_ca_location: str | None = None
    ssl_certificate_location: str | None = None
    ssl_key_location: str | None = None
    ssl_key_password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for server in self.bootstrap_servers.split(","):
            host, colon, port = server.strip().rpartition(":")
            if not (host and colon and port.isdecimal() and 0 < int(port) <= LAST_PORT):
                raise KafkaSettingsError(
                    f"Bootstrap server {server.strip()!r} is not of the form host:port, "
                    f"with a port up to {LAST_PORT}."
                )
        if self.security_protocol not in PROTOCOLS:
            raise KafkaSettingsError(
                f"security.protocol is {self.security_protocol!r}; "
                f"use one of {', '.join(PROTOCOLS)}."
            )
        if self.security_protocol.startswith("SASL"):
            if self.sasl_mechanism not in MECHANISMS:
                raise KafkaSettingsError(
                    f"sasl.mechanism is {self.sasl_mechanism!r}; "
                    f"use one of {', '.join(MECHANISMS)}."
                )
            if self.sasl_username is None or self.sasl_password is None:
                raise KafkaSettingsError("SASL needs both sasl.username and sasl.password.")
        _refuse_idle(self)
        if (self.ssl_certificate_location is None) != (self.ssl_key_location is None):
            raise KafkaSettingsError(
                "A client certificate needs both ssl.certificate.location and ssl.key.location."
            )
        for name in ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location"):
            path = getattr(self, name)
            if path is not None and not os.access(path, os.R_OK):
                raise KafkaSettingsError(
                    f"{name.replace('_', '.')} names {path!r}, which cannot be read."
                )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> KafkaSettings:
        """Settings from ``INFERWATCH_KAFKA_*``: BOOTSTRAP_SERVERS, SECURITY_PROTOCOL, ..."""
        found = {
            name: environment[f"INFERWATCH_KAFKA_{name.upper()}"]
            for name in cls.__slots__
            if f"INFERWATCH_KAFKA_{name.upper()}" in environment
        }
        return cls(**found)

    def to_environment(self) -> dict[str, str]:
        """The variables from which ``from_environment`` makes the same settings."""
        return {
            f"INFERWATCH_KAFKA_{name.upper()}": value
            for name in self.__slots__
            if (value := getattr(self, name)) is not None
        }

    def confluent(self) -> dict[str, Any]:
        """The same as configuration of confluent-kafka (librdkafka's names)."""
        return {
            name.replace("_", "."): value
            for name in self.__slots__
            if (value := getattr(self, name)) is not None
        }


def _refuse_idle(kafka: KafkaSettings) -> None:
    # librdkafka only logs that it ignores them, and would connect without what was asked for.
    for prefix, used, instead in (
        ("sasl_", kafka.security_protocol.startswith("SASL"), "SASL_PLAINTEXT or SASL_SSL"),
        ("ssl_", kafka.security_protocol.endswith("SSL"), "SSL or SASL_SSL"),
    ):
        for name in kafka.__slots__:
            if name.startswith(prefix) and getattr(kafka, name) is not None and not used:
                raise KafkaSettingsError(
                    f"{name.replace('_', '.')} is set, but security.protocol is "
                    f"{kafka.security_protocol}; make that {instead}, or leave it out."
                )
