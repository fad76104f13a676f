"""Kafka settings as Faust takes them, for the two Faust apps: aggregation and sink.

Kept here, and without importing Faust before it is called, because both need the same.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inferwatch_schemas.kafka import KafkaSettings

# Chunks that may wait for an agent: with a megabyte each, what bounds a worker's memory.
QUEUED_CHUNKS = 8


def faust_settings(
    kafka: KafkaSettings, *, commit_seconds: float, session_timeout_seconds: float, fetch_bytes: int
) -> dict[str, Any]:
    """Keyword arguments of ``faust.App`` for an app that processes chunks.

    Args:
        kafka: How to reach Kafka.
        commit_seconds: Time between commits.
        session_timeout_seconds: Time without heartbeats after which a worker is given up.
        fetch_bytes: Most bytes of a partition in one fetch.
    """
    return {
        "broker": ";".join(
            f"chunks://{server.strip()}" for server in kafka.bootstrap_servers.split(",")
        ),
        "broker_credentials": _credentials(kafka),
        "broker_commit_interval": commit_seconds,
        "broker_session_timeout": session_timeout_seconds,
        "broker_heartbeat_interval": session_timeout_seconds / 5,
        "broker_request_timeout": max(40.0, session_timeout_seconds + 10),
        "consumer_max_fetch_size": fetch_bytes,
        "stream_buffer_maxsize": QUEUED_CHUNKS,
        # What is chunked is not acknowledged message by message, and no topic is made here:
        # inferwatch topics create makes them all.
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "store": "memory://",
        "web_enabled": False,
    }


def _credentials(kafka: KafkaSettings) -> Any:
    if kafka.security_protocol == "PLAINTEXT":
        return None
    import faust  # noqa: PLC0415  # only the workers have it

    context = None
    if kafka.security_protocol.endswith("SSL"):
        context = ssl.create_default_context(cafile=kafka.ssl_ca_location)
        if kafka.ssl_certificate_location is not None:
            context.load_cert_chain(kafka.ssl_certificate_location, kafka.ssl_key_location)
    if kafka.security_protocol == "SSL":
        return faust.SSLCredentials(context)
    return faust.SASLCredentials(
        username=kafka.sasl_username,
        password=kafka.sasl_password,
        mechanism=kafka.sasl_mechanism,
        ssl_context=context,
    )
