"""Gives events to Kafka from one thread, without losing patience while there is no Kafka."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException

# The class itself: OpenTelemetry's instrumentation puts one of its own into confluent_kafka, whose
# spans of sending spans would never end.
from confluent_kafka.cimpl import Producer

from inferwatch_agents.channel import open_channel
from inferwatch_agents.errors import PublishError
from inferwatch_agents.outcomes import NOT_DELIVERED, NOT_ENCODED, SCHEMA_UNKNOWN, TOPIC_MISSING
from inferwatch_agents.publisher import KEY_FIELDS, PublisherSettings
from inferwatch_schemas.errors import SchemasError, UnknownSchemaError
from inferwatch_schemas.kafka_errors import SILENT, Heard
from inferwatch_schemas.unreachable import unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.channel import Channel, Message
    from inferwatch_agents.event_queue import Backlog, Event, Room
    from inferwatch_agents.outcomes import Faults, Outcomes
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry

# How long one look for the broker may take: metrics are not counted meanwhile.
ASK_SECONDS: Final = 1.0
# How long until it is looked for again, and until a topic or schema that was missing is.
AGAIN_SECONDS: Final = 3.0
MISSING_AGAIN_SECONDS: Final = 30.0
LINGER_MS: Final = 50
# Events given to the client at once, before its answers are taken up.
AT_ONCE: Final = 1000
# How often the client tells of its state, and after how many epochs without a delivery in between
# it is given up.
STATE_MS: Final = 5000
MOST_EPOCHS: Final = 10
PURGE_SECONDS: Final = 0.5

log = structlog.get_logger()


class Sender:
    """Owns Kafka's client; all but ``open`` is called by one thread, and does not raise.

    ``look`` does what may take seconds and takes no lock of others; ``send`` is quick.

    Nothing is given to the client before the broker was reached once and showed the topic: a broker
    that is asked for a topic may create it with its own defaults. What was given waits there for as
    long as it takes, because an idempotent producer may be fenced after a record that timed out.
    """

    def __init__(  # noqa: PLR0913  # the last two are seams with defaults
        self,
        kafka: KafkaSettings,
        registry: Registry,
        producer_id: str,
        room: Room,
        *,
        outcomes: Outcomes,
        faults: Faults,
        make_producer: Callable[..., Any] = Producer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; ``send`` connects.

        Args:
            kafka: Where the broker is.
            registry: Where schema ids come from.
            producer_id: Names this producer in its events.
            room: What may wait in Kafka's client.
            outcomes: Counts what became of events.
            faults: Counts what failed here.
            make_producer: Called as ``confluent_kafka.Producer``.
            monotonic: Clock in seconds.
        """
        self._kafka = kafka
        self._registry = registry
        self._producer_id = producer_id
        self._outcomes = outcomes
        self._faults = faults
        self._make_producer = make_producer
        self._monotonic = monotonic
        settings = PublisherSettings(
            linger_ms=LINGER_MS, queue_events=room.events, delivery_seconds=0
        )
        self._heard = Heard()
        self._config = {
            **kafka.confluent(),
            **settings.librdkafka(),
            "queue.buffering.max.kbytes": max(1, room.size // 1024),
            "error_cb": self._heard,
            "statistics.interval.ms": STATE_MS,
            "stats_cb": self._on_state,
        }
        self._producer: Any = None
        self._channels: dict[str, Channel] = {}
        self._topics: frozenset[str] | None = None
        self._ask_again = 0.0
        # Schemas that events wait for; those that cannot be sent, why, and when to look again.
        self._wanted: set[str] = set()
        self._missing: dict[str, tuple[str, float]] = {}
        self._told: set[str] = set()
        self._news: list[str] = []
        self._acknowledged = 0
        # Acknowledged events and the epoch when the client last told of its state.
        self._state = (0, 0)
        self._refused = False

    @property
    def producer(self) -> Any:
        """Kafka's client; None before it was first looked for."""
        return self._producer

    def open(self) -> None:
        """Make Kafka's client, which connects by itself, as soon as it can.

        Raises:
            PublishError: It refuses its settings.
        """
        try:
            self._producer = self._make_producer(self._config, logger=SILENT)
        except KafkaException as error:
            raise PublishError(f"Kafka's client refuses its settings: {error.args[0]}.") from error

    def look(self) -> None:
        """Reach the broker, the registry and topics where ``send`` lacked them and it is time."""
        now = self._monotonic()
        if now < self._ask_again:
            return
        if self._topics is None and self._wanted:
            self._topics = self._ask()
            if self._topics is None:
                self._ask_again = self._monotonic() + AGAIN_SECONDS
                return
            self._news += ["Kafka was reached."] if "kafka" in self._told else []
            self._told.discard("kafka")
        due = {schema for schema, (_, again) in self._missing.items() if again <= now}
        if due:
            # Its topic may have been created since.
            found = self._ask()
            self._topics = self._topics if found is None else found
        for schema in self._wanted | due:
            self._open(schema)

    def send(self, backlog: Backlog) -> bool:
        """Give the client what it has room for, some at once; True where it may take more."""
        if self._refused:
            self._drop_producer()
        for _ in range(min(len(backlog), AT_ONCE)):
            if not self._give(backlog.first()):
                self.poll()
                return False
            backlog.pop()
        self.poll()
        return bool(backlog)

    def wants(self) -> bool:
        """Whether ``look`` has something to look for."""
        return bool(self._wanted) and self._monotonic() >= self._ask_again

    def poll(self) -> None:
        """Take up the broker's answers."""
        if self._producer is not None:
            self._producer.poll(0)

    def tell(self) -> None:
        """Log what ``look`` found."""
        news, self._news = self._news, []
        for text in news:
            log.warning("inferwatch", reason=text)

    def flush(self, seconds: float) -> int:
        """Wait so long for the broker's acknowledgements, and say how many are missing."""
        if self._producer is None:
            return 0
        return int(self._producer.flush(max(0.0, seconds)))

    def _give(self, event: Event) -> bool:
        """True where the event needs no room in the backlog any more, sent or not."""
        schema, content = event.schema, event.content
        if schema in self._missing:
            self._outcomes.drop(schema, self._missing[schema][0])
            return True
        channel = self._channels.get(schema)
        if self._topics is None or channel is None:
            self._wanted.add(schema)
            return False
        try:
            record = content if isinstance(content, Mapping) else content.record()
            message = channel.message(record, event.sequence, event.at)
        except Exception as error:  # noqa: BLE001  # whatever a record made it stumble over, the next may be sound
            self._outcomes.fail(schema, NOT_ENCODED)
            self._faults.note(f"encoding {schema}", error)
            return True
        return self._produce(schema, message)

    def _produce(self, schema: str, message: Message) -> bool:
        topic, key, value, headers = message
        try:
            self._producer.produce(
                topic,
                value,
                key,
                headers=headers,
                on_delivery=lambda error, _: self._on_delivery(schema, topic, error),
            )
        except BufferError:
            return False
        except KafkaException as error:
            if error.args[0].fatal():
                # What it held is reported as failed when it goes; a new one goes on.
                self._faults.note("kafka", error)
                self._drop_producer()
                return False
            self._outcomes.fail(schema, NOT_DELIVERED)
            self._faults.note(f"sending {schema}", error)
        return True

    def _drop_producer(self) -> None:
        self._producer.purge()
        # Its threads report what was on its way a moment later.
        self._producer.flush(PURGE_SECONDS)
        self._producer, self._topics = None, None
        self._state, self._refused = (self._acknowledged, 0), False
        self._ask_again = self._monotonic() + AGAIN_SECONDS

    def _open(self, schema: str) -> None:
        again = self._monotonic() + MISSING_AGAIN_SECONDS
        try:
            channel = self._channels.get(schema) or open_channel(
                schema, self._registry, self._producer_id, KEY_FIELDS
            )
        except UnknownSchemaError as error:
            self._miss(schema, SCHEMA_UNKNOWN, again, f"{error} Its events are dropped.")
            return
        except SchemasError as error:
            self._tell_once(f"registry {schema}", f"{error} Events wait, up to a limit.")
            self._ask_again = self._monotonic() + AGAIN_SECONDS
            return
        self._channels[schema] = channel
        topic = channel.topic.name
        if topic not in (self._topics or ()):
            servers = self._kafka.bootstrap_servers
            told = f"Kafka at {servers} has no topic {topic}, so its events are dropped"
            self._miss(schema, TOPIC_MISSING, again, f"{told}; run: inferwatch topics create")
            return
        self._wanted.discard(schema)
        self._missing.pop(schema, None)

    def _miss(self, schema: str, reason: str, again: float, told: str) -> None:
        self._wanted.discard(schema)
        self._missing[schema] = (reason, again)
        self._tell_once(f"{reason} {schema}", told)

    def _ask(self) -> frozenset[str] | None:
        try:
            if self._producer is None:
                self.open()
            # Asked for all: asked for one, a broker may create it with its own defaults.
            return frozenset(self._producer.list_topics(timeout=ASK_SECONDS).topics)
        except PublishError as error:
            self._tell_once("client", str(error))
            return None
        except KafkaException as error:
            self._producer.poll(0)
            heard = self._heard.last or str(error.args[0])
            self._tell_once(
                "kafka", f"{unreachable(self._kafka, heard)} Events wait, up to a limit."
            )
            return None

    def _tell_once(self, about: str, reason: str) -> None:
        if about not in self._told:
            self._told.add(about)
            self._news.append(reason)

    def _on_delivery(self, schema: str, topic: str, error: KafkaError | None) -> None:
        if error is None:
            self._acknowledged += 1
            self._outcomes.send(schema)
            return
        self._outcomes.fail(schema, NOT_DELIVERED)
        self._faults.note(f"delivering {schema}", KafkaException(error))
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):  # noqa: SLF001  # named so, yet public
            # It was deleted; looked for again before more is given to the client.
            self._topics = (self._topics or frozenset()) - {topic}
            self._missing[schema] = (TOPIC_MISSING, 0.0)

    def _on_state(self, told: str) -> None:
        # A broker that has forgotten the producer, as one that starts with nothing, may refuse it
        # for ever, and the client may begin an epoch after the other without a word.
        epoch = int(json.loads(told).get("eos", {}).get("producer_epoch", 0))
        acknowledged, before = self._state
        self._state = (self._acknowledged, epoch)
        if self._acknowledged == acknowledged and epoch - before >= MOST_EPOCHS:
            self._faults.note("kafka", PublishError("The broker does not know its producer."))
            self._refused = True
