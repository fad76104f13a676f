"""Kafka settings as Faust takes them, for the two Faust apps: aggregation and sink.

Kept here, and without importing Faust before it is called, because both need the same.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING, Any, Final

from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.kafka import KafkaSettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_schemas.kafka import KafkaSettings

CONNECT_SECONDS: Final = 6.0

# Chunks that may wait for an agent: with a megabyte each, what bounds a worker's memory.
QUEUED_CHUNKS = 8


# Of one partition: a chunk holds 16 MiB when it is inflated, and what exceeds it is fetched again.
MAX_FETCH_BYTES: Final = 4 * 1024 * 1024


def check_fetch_bytes(fetch_bytes: int, prefix: str, refused: Callable[[str], Exception]) -> None:
    """Hold the size of fetches against what a chunk can take.

    Args:
        fetch_bytes: Most bytes of a partition in one fetch.
        prefix: What the variables begin with.
        refused: Makes the error of a sentence.

    Raises:
        Exception: It is larger: what ``refused`` made of the sentence.
    """
    if fetch_bytes > MAX_FETCH_BYTES:
        raise refused(
            f"{prefix}_FETCH_BYTES is {fetch_bytes}; give {MAX_FETCH_BYTES} at most, for what does "
            "not fit a chunk is fetched again."
        )


def faust_settings(
    kafka: KafkaSettings, *, commit_seconds: float, session_timeout_seconds: float, fetch_bytes: int
) -> dict[str, Any]:
    """Keyword arguments of ``faust.App`` for an app that processes chunks.

    Args:
        kafka: How to reach Kafka.
        commit_seconds: Time between commits.
        session_timeout_seconds: Time without heartbeats after which a worker is given up.
        fetch_bytes: Most bytes of a partition in one fetch.

    Raises:
        KafkaSettingsError: Python cannot use the certificates or the key.
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


def aiokafka_settings(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments of aiokafka's clients: servers and security, as the apps' own ones.

    Raises:
        KafkaSettingsError: Python cannot use the certificates or the key.
    """
    from faust.transport.drivers.aiokafka import (  # noqa: PLC0415  # only the workers have it
        credentials_to_aiokafka_auth,
    )

    return {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap_servers.split(",")],
        **credentials_to_aiokafka_auth(_credentials(kafka)),
    }


def check_connects(kafka: KafkaSettings, timeout: float = CONNECT_SECONDS) -> None:
    """Make sure that a broker lets Faust's client in, which then only logs why it does not.

    Whether librdkafka is let in does not tell: each has a TLS library of its own, looks for the
    system's authorities in its own places, and Python from 3.13 on wants all that RFC 5280 does.

    Args:
        kafka: How to reach Kafka.
        timeout: How long to wait for each of the servers, in seconds.

    Raises:
        KafkaUnavailableError: None of the servers does; gives the reason of the last.
        KafkaSettingsError: Python cannot use the certificates or the key.
    """
    asyncio.run(_connect(kafka, _credentials(kafka), timeout))


async def _connect(kafka: KafkaSettings, credentials: Any, seconds: float) -> None:
    from aiokafka.conn import create_conn  # noqa: PLC0415  # only the workers have it
    from aiokafka.errors import KafkaError  # noqa: PLC0415  # likewise
    from faust.transport.drivers.aiokafka import (  # noqa: PLC0415  # likewise
        credentials_to_aiokafka_auth,
    )

    reason = ""
    for server in kafka.bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            async with asyncio.timeout(seconds):
                connection = await create_conn(
                    host, int(port), **credentials_to_aiokafka_auth(credentials)
                )
        except ssl.SSLCertVerificationError as error:
            reason = f"{error.verify_message.rstrip('.')} (in Python)"
        except TimeoutError:
            reason = f"no answer within {seconds:g} s"
        except (OSError, KafkaError) as error:
            reason = str(error) or type(error).__name__
        else:
            await connection.close()
            return
    raise KafkaUnavailableError(
        f"Kafka at {kafka.bootstrap_servers} does not let Faust's client in: {reason}; check the "
        "broker's certificate, --ssl-ca-location, --security-protocol and the credentials."
    )


def holds_no_credentials(record: logging.LogRecord) -> bool:
    """A filter of log records: none of aiokafka's with a SASL exchange passes."""
    return "SaslAuthenticate" not in record.getMessage()


def _credentials(kafka: KafkaSettings) -> Any:
    if kafka.security_protocol == "PLAINTEXT":
        return None
    import faust  # noqa: PLC0415  # only the workers have it

    context = _tls(kafka) if kafka.security_protocol.endswith("SSL") else None
    if kafka.security_protocol == "SSL":
        return faust.SSLCredentials(context)
    # With PLAIN, what aiokafka logs of its requests at debug level holds the password.
    logging.getLogger("aiokafka.conn").addFilter(holds_no_credentials)
    return faust.SASLCredentials(
        username=kafka.sasl_username,
        password=kafka.sasl_password,
        mechanism=kafka.sasl_mechanism,
        ssl_context=context,
    )


def _tls(kafka: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_ca_location)
        if kafka.ssl_certificate_location is not None:
            context.load_cert_chain(
                kafka.ssl_certificate_location,
                kafka.ssl_key_location,
                # Without one, Python asks the terminal for the password of an encrypted key.
                kafka.ssl_key_password or "",
            )
    except OSError as error:
        raise KafkaSettingsError(
            f"Python cannot use the TLS files: {error.strerror or error}; check "
            "--ssl-ca-location, --ssl-certificate-location, --ssl-key-location and the "
            "password of the key."
        ) from error
    return context
