"""What Kafka's client says when it fails: kept, not logged, and told in our own exceptions."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException

from inferwatch_schemas.errors import KafkaRefusedError, KafkaUnavailableError
from inferwatch_schemas.unreachable import unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inferwatch_schemas.kafka import KafkaSettings

_UNAVAILABLE: Final = frozenset({
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  # librdkafka's local codes are named so
    KafkaError._AUTHENTICATION,  # noqa: SLF001  # likewise
    KafkaError._RESOLVE,  # noqa: SLF001  # likewise
    KafkaError._TIMED_OUT,  # noqa: SLF001  # likewise
    KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001  # likewise
    KafkaError._TRANSPORT,  # noqa: SLF001  # likewise
    KafkaError.REQUEST_TIMED_OUT,
})  # fmt: skip

# librdkafka logs each refused connection; what the caller needs of it is in the exception. This is
# no logger of logging's tree, where a service's own configuration would enable it again.
SILENT: Final = logging.Logger("librdkafka")  # noqa: LOG001  # as said above
SILENT.disabled = True


class Heard:
    """Keeps the last thing a client's ``error_cb`` was told, for the message when a call fails."""

    def __init__(self) -> None:
        self.last: str | None = None

    def __call__(self, error: KafkaError) -> None:
        """Take an error of the client."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  # librdkafka's code; it adds nothing
            self.last = error.str()


@contextmanager
def kafka_errors(kafka: KafkaSettings, heard: Callable[[], str | None]) -> Iterator[None]:
    """Turn the client's exceptions into this component's, with the broker's address.

    Args:
        kafka: Whom the client asks.
        heard: The last thing that ``error_cb`` was told: a call which times out does not itself
            say that connections are refused or a name unknown.

    Raises:
        KafkaUnavailableError: No broker answered in time.
        KafkaRefusedError: A broker answered with an error.
    """
    try:
        yield
    except KafkaException as error:
        why: KafkaError = error.args[0]
        if why.code() in _UNAVAILABLE:
            raise KafkaUnavailableError(unreachable(kafka, heard() or why.str())) from error
        raise KafkaRefusedError(
            f"Kafka at {kafka.bootstrap_servers} refuses: {why.str().rstrip('.')}."
        ) from error
