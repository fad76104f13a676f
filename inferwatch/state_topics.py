"""Topics that hold the state of a role, as they stand now: the newest record of each key.

Their readers go through the log in order, past the claims of leaders (``leading.fence``), and leave
out what a replaced leader wrote after the claim of the next.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Message

from inferwatch.topic_reading import messages
from inferwatch_schemas import wire
from inferwatch_schemas.errors import UnknownSchemaError
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import Registry
from inferwatch_schemas.topics import Topic
from inferwatch_streams.leading.fence import EPOCH_HEADER, Fence

GROUP: Final = "inferwatch-state"


@dataclass(frozen=True, slots=True)
class Stated:
    """The newest record of a key.

    Attributes:
        key: Its key.
        record: What it says.
    """

    key: str
    record: Mapping[str, Any]


def read(
    kafka: KafkaSettings, registry: Registry, topic: Topic, tell: Callable[[str], None]
) -> Iterator[Stated]:
    """What a state topic says now.

    Args:
        kafka: Where it is.
        registry: Knows its schemas.
        topic: The topic.
        tell: Is told, in a sentence, of each record that cannot be used.

    Raises:
        KafkaUnavailableError: No broker answered in time.
        KafkaRefusedError: The topic does not exist, or may not be read.
        RegistryUnavailableError: The registry did not answer.
    """
    fence = Fence()
    newest: dict[str, bytes] = {}
    for message in messages(kafka, topic.name, GROUP):
        key, value = _text(message.key()), message.value()
        if not fence.accepts(key, value is None, _epoch(message), message.offset() or 0):
            continue
        if key is not None and value is not None:
            newest[key] = value
        elif key is not None:
            newest.pop(key, None)
    # Only the newest are decoded: of most keys there are many.
    for key, value in newest.items():
        try:
            record = wire.decode(value, registry)
        except (UnknownSchemaError, ValueError) as error:
            tell(f"{topic.name}: {key} cannot be used: {error}")
        else:
            yield Stated(key, record)


def _epoch(message: Message) -> int | None:
    for header in message.headers() or ():
        name, value = header[0], header[1]
        if name == EPOCH_HEADER and isinstance(value, bytes) and value.isdigit():
            return int(value)
    return None


def _text(key: Any) -> str | None:
    try:
        return key.decode() if isinstance(key, bytes) else key
    except UnicodeDecodeError:
        return None
