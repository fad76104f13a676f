"""What a compacted topic says: the newest value of each key, from its beginning on.

A topic is read from its beginning each time it is connected to, and what was known holds until
the end of that is reached, partition by partition: so nothing old comes back for a moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from inferwatch_agents.errors import UnusableRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from inferwatch_schemas.topics import Topic

# Keys of one partition; a topic of definitions that has more is none.
MOST_KEYS: Final = 10_000

T = TypeVar("T")


class Newest(NamedTuple, Generic[T]):
    """The last record of a key.

    Attributes:
        at: Its timestamp in Kafka, in milliseconds.
        value: What it says; None where it removes the key.
    """

    at: int
    value: T | None


class Compacted(Generic[T]):
    """One topic, as far as it is known; written by one thread.

    Attributes:
        topic: The topic.
        values: By key; replaced whole, so that any thread may read it.
    """

    def __init__(
        self,
        topic: Topic,
        parse: Callable[[str, bytes], T],
        changed: Callable[[Mapping[str, T]], None],
    ) -> None:
        """Know nothing yet.

        Args:
            topic: The topic.
            parse: Makes a value of a record's key and value; may raise anything.
            changed: Called with all values, after some have changed.
        """
        self.topic = topic
        self.values: Mapping[str, T] = {}
        self._parse = parse
        self._changed = changed
        self._known: dict[int, dict[str, Newest[T]]] = {}
        self._loading: dict[int, dict[str, Newest[T]]] = {}

    @property
    def loaded(self) -> bool:
        """Whether the end of all partitions was reached."""
        return not self._loading

    def begin(self, partitions: Iterable[int]) -> None:
        """These partitions are read, from their beginnings; what others said is gone."""
        self._loading = {partition: {} for partition in partitions}
        self._known = {number: self._known.get(number, {}) for number in self._loading}

    def lost(self) -> None:
        """There is no such topic any more; what it said holds until there is one again."""
        self._loading = {}

    def take(self, partition: int, key: bytes | None, value: bytes | None, at: int) -> None:
        """Take the next record of a partition.

        Raises:
            UnusableRecordError: It has no key that is text, or too large a value, or there are too
                many keys.
            Exception: What ``parse`` raises.
        """
        known = self._known[partition]
        entries = self._loading.get(partition, known)
        name = _text(key)
        if value is None and len(self._known) == 1:
            # With several partitions it has to be remembered that it removes.
            entries.pop(name, None)
            return
        if name not in entries and len(entries) >= MOST_KEYS:
            raise UnusableRecordError(f"There are more than {MOST_KEYS} keys.")
        try:
            entries[name] = Newest(at, None if value is None else self._value(name, value))
        except Exception:
            if name not in entries and name in known:
                # The good record before this one may be compacted away.
                entries[name] = known[name]
            raise

    def _value(self, name: str, value: bytes) -> T:
        if len(value) > self.topic.max_value_bytes:
            raise UnusableRecordError(f"The value has {len(value)} bytes.")
        return self._parse(name, value)

    def ended(self, partition: int) -> None:
        """The end of a partition was reached: from now on its records change what is known."""
        loaded = self._loading.pop(partition, None)
        if loaded is not None:
            self._known[partition] = loaded

    def publish(self) -> None:
        """Make what is known public, where it has changed."""
        newest: dict[str, Newest[T]] = {}
        for entries in self._known.values():
            for name, entry in entries.items():
                # A key has several partitions where some were added; the later record holds.
                if name not in newest or entry.at >= newest[name].at:
                    newest[name] = entry
        values = {name: entry.value for name, entry in newest.items() if entry.value is not None}
        if values != self.values:
            self.values = values
            self._changed(values)


def _text(key: Any) -> str:
    if not isinstance(key, bytes):
        raise UnusableRecordError("A record without a key.")
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise UnusableRecordError(f"The key {key!r} is not UTF-8.") from error
