"""Why Kafka was not reached, in a sentence that says what to change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from inferwatch_schemas.kafka import KafkaSettings

_STATE: Final = re.compile(r" \(after \d+ms in state \w+\)$")
_ALERT: Final = re.compile(r"(?:ssl|tls)\w* alert ([a-z ]+)")
_SASL: Final = re.compile(r"\bSASL .*")


def unreachable(kafka: KafkaSettings, heard: str) -> str:
    """The sentence for a user.

    Args:
        kafka: How it was tried.
        heard: librdkafka's words about the attempt. They are all there is: its codes tell a
            certificate that is not trusted from one that is not sent no better.
    """
    at = f"Kafka at {kafka.bootstrap_servers}"
    heard = _STATE.sub("", heard.strip()).rstrip(" :.")
    if "certificate verify failed" in heard:
        return (
            f"{at} shows a certificate that cannot be verified: it is of an unknown authority, "
            "for another host, or not of this time; check --ssl-ca-location and "
            "--bootstrap-servers."
        )
    if alert := _ALERT.search(heard):
        return (
            f"{at} refuses the TLS connection ({alert[1].strip()}), as where it wants a client "
            "certificate that it trusts; check --ssl-certificate-location and --ssl-key-location."
        )
    if kafka.sasl_username is not None and (refusal := _SASL.search(heard)):
        return (
            f"{at} refuses user {kafka.sasl_username!r} by {kafka.sasl_mechanism} ({refusal[0]}); "
            "check --security-protocol, --sasl-mechanism, --sasl-username and --sasl-password."
        )
    return (
        f"{at} does not answer: {heard}; check that it runs, --bootstrap-servers and "
        "--security-protocol."
    )
