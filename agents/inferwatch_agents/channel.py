"""One schema's events to the records of its topic: header, key, Avro and CloudEvents headers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from inferwatch_agents.errors import PublishError
from inferwatch_agents.trace_context import SAMPLED, Trace
from inferwatch_schemas.topics import Topic, topic_of
from inferwatch_schemas.wire import Encoder, cloudevents_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_schemas.registry import Registry
    from inferwatch_schemas.wire import Headers

MICROS: Final = 1_000_000


class Message(NamedTuple):
    """What a Kafka client is given."""

    topic: str
    key: str
    value: bytes
    headers: Headers


@dataclass(slots=True)
class Channel:
    """What is the same for all events of one schema from one producer.

    Attributes:
        topic: Where they go.
        sequence: Number of the next event, for whoever numbers events as they are sent.
    """

    encoder: Encoder
    topic: Topic
    key_field: str
    producer_id: str
    headers: Headers
    id_prefix: str
    sequence: int = 0
    second: int = -1
    second_text: bytes = b""

    def message(
        self, record: Mapping[str, Any], sequence: int, at: int, key: str | None = None
    ) -> Message:
        """One event, with its header added.

        Args:
            record: All fields except event_id, producer_id, sequence and event_time. Its
                ``trace_flags`` are in the traceparent header also where the schema has none.
            sequence: Its number among this producer's events of the topic.
            at: Microseconds since 1970 (UTC).
            key: Record key; the field that the topic catalogue names when None.

        Raises:
            EncodeError: The record does not fit its schema.
            PublishError: The event is too large for its topic.
        """
        event_id = f"{self.id_prefix}{sequence}"
        value = self.encoder.encode(
            {
                **record,
                "event_id": event_id,
                "producer_id": self.producer_id,
                "sequence": sequence,
                "event_time": at,
            }
        )
        if len(value) > self.topic.max_value_bytes:
            raise PublishError(
                f"An event of {len(value)} bytes is too large for {self.topic.name}, which "
                f"takes {self.topic.max_value_bytes}."
            )
        headers = [*self.headers, ("ce_id", event_id.encode()), ("ce_time", self._time(at))]
        trace_id, span_id = record.get("trace_id"), record.get("span_id")
        if trace_id and span_id:
            flags = record.get("trace_flags")
            trace = Trace(trace_id, span_id, SAMPLED if flags is None else flags)
            headers.append(("traceparent", trace.traceparent().encode()))
        key = record[self.key_field] if key is None else key
        return Message(self.topic.name, key, value, headers)

    def _time(self, micros: int) -> bytes:
        second, micro = divmod(micros, MICROS)
        if second != self.second:
            self.second = second
            text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self.second_text = text.encode()
        return b"%s.%06dZ" % (self.second_text, micro)


def open_channel(
    schema: str, registry: Registry, producer_id: str, key_fields: Mapping[str, str]
) -> Channel:
    """The channel of a schema.

    Args:
        schema: Its name.
        registry: Where its id comes from.
        producer_id: Names the producer in its events.
        key_fields: The field that is the record key, by what the catalogue calls the key.

    Raises:
        UnknownSchemaError: Nothing of that name was released, or the registry lacks it.
        RegistryUnavailableError: The registry did not answer.
    """
    encoder = Encoder(schema, registry)
    topic = topic_of(schema)
    headers = cloudevents_headers(schema, "", f"urn:inferwatch:producer:{producer_id}")
    return Channel(
        encoder=encoder,
        topic=topic,
        # Topics that services do not write have keys of several fields.
        key_field=key_fields.get(topic.key, ""),
        producer_id=producer_id,
        headers=[header for header in headers if header[0] != "ce_id"],
        id_prefix=f"{producer_id}-{schema}-",
    )
