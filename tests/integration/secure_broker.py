"""Apache Kafka with a listener for each way of securing it, and settings that get in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from certificates import Authority, Pair
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names which its types do not export
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from inferwatch.embedded.kafka import ApacheKafka
from inferwatch.embedded.processes import LOOPBACK, free_port
from inferwatch_schemas.kafka import KafkaSettings

# Whatever is special in a SASL message is in one of these; each is looked for in logs.
PLAIN_USER, PLAIN_PASSWORD = "plain-user", "pl@in-S3cret='x,y'"
SCRAM_USER, SCRAM_PASSWORD = "scram=user,1", "sçram-S3cret,=%s"
KEY_PASSWORD = "key-S3cret"  # noqa: S105  # of a key that the test makes
SECRETS = (PLAIN_PASSWORD, SCRAM_PASSWORD, KEY_PASSWORD)

_SECONDS = 15
_JAAS = "org.apache.kafka.common.security"
_PROTOCOLS = {
    "PLAINTEXT": "PLAINTEXT",
    "CONTROLLER": "PLAINTEXT",
    "ENCRYPTED": "SASL_SSL",
    "CLEAR": "SASL_PLAINTEXT",
    "MUTUAL": "SSL",
    "ELSEWHERE": "SSL",
}


@dataclass(frozen=True)
class SecureBroker:
    """A node that runs, and what its clients need.

    Attributes:
        ports: Of its listeners, by name: ENCRYPTED wants a password, by PLAIN or SCRAM, over TLS;
            CLEAR the same without; MUTUAL a client certificate. ELSEWHERE shows a certificate for
            another host.
        ca: The authority that signed all certificates.
        stranger: Another authority.
        client: A client's certificate and its encrypted key.
    """

    ports: dict[str, int]
    ca: Path
    stranger: Path
    client: Pair

    def at(self, listener: str, **settings: str) -> KafkaSettings:
        """Settings for a listener, with its protocol and the authority; more may be given."""
        protocol = _PROTOCOLS[listener]
        trusted = {"ssl_ca_location": str(self.ca)} if protocol.endswith("SSL") else {}
        return KafkaSettings(f"{LOOPBACK}:{self.ports[listener]}", protocol, **(trusted | settings))

    def with_password(self, listener: str, mechanism: str) -> KafkaSettings:
        """Settings of the user whom a mechanism knows."""
        user, password = (
            (PLAIN_USER, PLAIN_PASSWORD) if mechanism == "PLAIN" else (SCRAM_USER, SCRAM_PASSWORD)
        )
        return self.at(
            listener, sasl_mechanism=mechanism, sasl_username=user, sasl_password=password
        )

    def with_certificate(self) -> KafkaSettings:
        """Settings of the client that shows a certificate."""
        return self.at(
            "MUTUAL",
            ssl_certificate_location=str(self.client.certificate),
            ssl_key_location=str(self.client.key),
            ssl_key_password=KEY_PASSWORD,
        )


@contextmanager
def running(folder: Path) -> Iterator[SecureBroker]:
    """Start a node, with certificates of its own, and stop it at the end."""
    authority = Authority.create(folder, "authority")
    stranger = Authority.create(folder, "stranger")
    broker = authority.sign("broker", f"IP:{LOOPBACK}")
    elsewhere = authority.sign("elsewhere", "DNS:elsewhere.example")
    client = authority.sign("client")
    ports = {name: free_port() for name in _PROTOCOLS}
    settings = {
        **_listeners(ports),
        **_passwords(),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.own.certificate),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(broker.together()),
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.elsewhere.ssl.keystore.location": str(elsewhere.together()),
    }
    node = ApacheKafka(folder / "data", folder, port=ports["PLAINTEXT"], settings=settings)
    with node:
        _create_scram_user(node.bootstrap_servers)
        yield SecureBroker(
            ports,
            authority.own.certificate,
            stranger.own.certificate,
            Pair(client.certificate, client.encrypted_key(KEY_PASSWORD)),
        )


def _listeners(ports: dict[str, int]) -> dict[str, str]:
    listeners = {name: f"{name}://{LOOPBACK}:{port}" for name, port in ports.items()}
    return {
        "listeners": ",".join(listeners.values()),
        "advertised.listeners": ",".join(
            address for name, address in listeners.items() if name != "CONTROLLER"
        ),
        "listener.security.protocol.map": ",".join(
            f"{name}:{protocol}" for name, protocol in _PROTOCOLS.items()
        ),
        "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{ports['CONTROLLER']}",
    }


def _passwords() -> dict[str, str]:
    settings = {"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"}
    for listener in ("encrypted", "clear"):
        prefix = f"listener.name.{listener}"
        settings[f"{prefix}.plain.sasl.jaas.config"] = (
            f'{_JAAS}.plain.PlainLoginModule required user_{PLAIN_USER}="{PLAIN_PASSWORD}";'
        )
        for mechanism in ("scram-sha-256", "scram-sha-512"):
            settings[f"{prefix}.{mechanism}.sasl.jaas.config"] = (
                f"{_JAAS}.scram.ScramLoginModule required;"
            )
    return settings


def _create_scram_user(bootstrap_servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
        credential = UserScramCredentialUpsertion(
            SCRAM_USER, ScramCredentialInfo(mechanism, 4096), SCRAM_PASSWORD.encode()
        )
        admin.alter_user_scram_credentials([credential])[SCRAM_USER].result(_SECONDS)
