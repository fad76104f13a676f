"""What Kafka's client says: kept, silent, and told as our own errors."""

import logging

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from inferwatch_schemas.errors import KafkaRefusedError, KafkaUnavailableError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.kafka_errors import SILENT, Heard, kafka_errors

KAFKA = KafkaSettings("nowhere:9")


def test_a_services_logging_does_not_wake_the_client(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration that enables the loggers there are, as uvicorn's does, leaves it silent."""
    for each in logging.root.manager.loggerDict.values():
        if isinstance(each, logging.Logger):
            monkeypatch.setattr(each, "disabled", False)
    client = AdminClient({"bootstrap.servers": "127.0.0.1:9"}, logger=SILENT)
    with pytest.raises(KafkaException), caplog.at_level(logging.DEBUG):
        client.list_topics(timeout=0.2)
    client.poll(0)
    assert caplog.records == []


def test_what_was_heard_is_the_last_that_says_something() -> None:
    """That all brokers are down says less than what brought them down."""
    heard = Heard()
    assert heard.last is None
    heard(KafkaError(KafkaError._TRANSPORT, "connection refused"))  # noqa: SLF001  # librdkafka's codes are named so
    heard(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))  # noqa: SLF001  # likewise
    assert heard.last == "connection refused"


@pytest.mark.parametrize(
    ("code", "heard", "kind", "told"),
    [
        (KafkaError._TIMED_OUT, "refused", KafkaUnavailableError, "does not answer: refused"),  # noqa: SLF001  # likewise
        (KafkaError._TIMED_OUT, None, KafkaUnavailableError, "does not answer: said"),  # noqa: SLF001  # likewise
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "refused", KafkaRefusedError, "refuses: said$"),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_our_own_error(
    code: int, heard: str | None, kind: type[Exception], told: str
) -> None:
    """Silence of a broker is told by what was heard, a refusal by its own words."""
    with pytest.raises(kind, match=told.replace("$", r"\.$")), kafka_errors(KAFKA, lambda: heard):
        raise KafkaException(KafkaError(code, "said"))
