"""Topics as a broker has them: their ids, creation of the catalogue, and where they differ."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names which its types do not export
    AdminClient,
    ConfigResource,
    NewPartitions,
    NewTopic,
)

from inferwatch_schemas.errors import KafkaUnavailableError
from inferwatch_schemas.kafka import KafkaSettingsError
from inferwatch_schemas.kafka_errors import SILENT, Heard, kafka_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.topics import Topic

TIMEOUT_SECONDS: Final = 6.0
BROKERS_DEFAULT: Final = -1
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic as the broker has it.

    Attributes:
        name: Its name.
        id: Kafka's id of the topic, as Kafka's own tools print it; a topic deleted and created
            again has another.
        partitions: How many it has.
        config: Kafka's topic settings that the broker tells.
    """

    name: str
    id: str
    partitions: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one topic of the catalogue.

    Attributes:
        name: The topic's name.
        created: Whether it was created now.
        raised: Whether its partitions were raised now.
        differences: Where it is not as declared, one sentence each.
    """

    name: str
    created: bool
    raised: bool
    differences: tuple[str, ...]


def differences(topic: Topic, state: TopicState, factor: int = 1) -> tuple[str, ...]:
    """Where a topic is not as the catalogue declares it, one sentence each.

    Args:
        topic: As declared.
        state: As the broker has it.
        factor: Times as many partitions are wanted as declared.
    """
    found = []
    if state.partitions != topic.partitions * factor:
        found.append(
            f"{topic.name} has {state.partitions} partitions, not {topic.partitions * factor}"
        )
    for key, declared in topic.config().items():
        actual = state.config.get(key)
        if actual != declared:
            has = "does not have" if actual is None else f"has {key}={actual}, not"
            found.append(f"{topic.name} {has} {key}={declared}")
    return tuple(found)


class TopicAdmin:
    """Asks one cluster about topics, and creates them."""

    def __init__(self, kafka: KafkaSettings, timeout: float = TIMEOUT_SECONDS) -> None:
        """Connect lazily.

        Args:
            kafka: How to reach the cluster.
            timeout: How long to wait for one answer, in seconds.

        Raises:
            KafkaSettingsError: librdkafka cannot use the settings.
        """
        self._kafka = kafka
        self._timeout = timeout
        self._heard = Heard()
        config: dict[str, Any] = {**kafka.confluent(), "error_cb": self._heard}
        try:
            self._client = AdminClient(config, logger=SILENT)
        except KafkaException as error:
            raise KafkaSettingsError(
                f"Kafka's client refuses its settings: {error.args[0].str()}."
            ) from error

    def brokers(self) -> int:
        """How many brokers the cluster has.

        Raises:
            KafkaUnavailableError: No broker answered in time.
        """
        with kafka_errors(self._kafka, self._last_heard):
            return len(self._client.list_topics(timeout=self._timeout).brokers)

    def ids(self, names: Iterable[str]) -> dict[str, str]:
        """Kafka's ids of those topics that exist, by name.

        Raises:
            KafkaUnavailableError: No broker answered in time.
            KafkaRefusedError: The broker refuses, for example for want of rights.
        """
        return {name: _id(found) for name, found in self._describe(names).items()}

    def logs(self, names: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Kafka's ids and the numbers of partitions of those topics that exist, by name.

        Raises:
            KafkaUnavailableError: No broker answered in time.
            KafkaRefusedError: The broker refuses, for example for want of rights.
        """
        described = self._describe(names).items()
        return {name: (_id(found), len(found.partitions)) for name, found in described}

    def states(self, names: Iterable[str]) -> dict[str, TopicState]:
        """The topics that exist, by name.

        Raises:
            KafkaUnavailableError: No broker answered in time.
            KafkaRefusedError: The broker refuses, for example for want of rights.
        """
        described = self._describe(names)
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in described]
        configs: dict[str, dict[str, str]] = {}
        if resources:
            with kafka_errors(self._kafka, self._last_heard):
                asked = self._client.describe_configs(resources, request_timeout=self._timeout)
                for resource, answer in asked.items():
                    configs[resource.name] = {
                        key: entry.value for key, entry in answer.result().items()
                    }
        return {
            name: TopicState(name, _id(found), len(found.partitions), configs[name])
            for name, found in described.items()
        }

    def create(
        self,
        topics: Sequence[Topic],
        *,
        factor: int = 1,
        replication: int = BROKERS_DEFAULT,
        raise_partitions: bool = False,
    ) -> list[Outcome]:
        """Create those topics that do not exist, and tell how the others differ.

        Args:
            topics: What there shall be.
            factor: Times as many partitions as declared.
            replication: Replicas of each partition; the broker's default unless given.
            raise_partitions: Whether a topic with fewer partitions than that gets more. Keys
                then move to other partitions. Nothing else that exists is ever changed.

        Raises:
            KafkaUnavailableError: No broker answered in time.
            KafkaRefusedError: The broker refuses, for example for want of rights.
        """
        wanted = {topic.name: topic.partitions * factor for topic in topics}
        before = self.states(wanted)
        created = {
            topic.name
            for topic in topics
            if topic.name not in before and self._create(topic, wanted[topic.name], replication)
        }
        raised = {
            name
            for name, state in before.items()
            if raise_partitions and state.partitions < wanted[name]
        }
        for name in raised:
            self._raise(name, wanted[name])
        after = self._settled({name: wanted[name] if name in raised else 1 for name in wanted})
        return [
            Outcome(
                topic.name,
                topic.name in created,
                topic.name in raised,
                differences(topic, after[topic.name], factor),
            )
            for topic in topics
        ]

    def _last_heard(self) -> str | None:
        self._client.poll(0)
        return self._heard.last

    def _describe(self, names: Iterable[str]) -> dict[str, Any]:
        wanted = list(names)
        found: dict[str, Any] = {}
        if not wanted:
            return found
        with kafka_errors(self._kafka, self._last_heard):
            asked = self._client.describe_topics(
                TopicCollection(wanted), request_timeout=self._timeout
            )
            for name, answer in asked.items():
                try:
                    found[name] = answer.result()
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                        raise
        return found

    def _create(self, topic: Topic, partitions: int, replication: int) -> bool:
        new = NewTopic(
            topic.name,
            num_partitions=partitions,
            replication_factor=replication,
            config=topic.config(),
        )
        with kafka_errors(self._kafka, self._last_heard):
            try:
                self._client.create_topics([new], request_timeout=self._timeout)[
                    topic.name
                ].result()
            except KafkaException as error:
                # Somebody else was faster.
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
                return False
        return True

    def _raise(self, name: str, partitions: int) -> None:
        with kafka_errors(self._kafka, self._last_heard):
            self._client.create_partitions(
                [NewPartitions(name, partitions)], request_timeout=self._timeout
            )[name].result()

    def _settled(self, at_least: dict[str, int]) -> dict[str, TopicState]:
        # The controller has acknowledged; the broker that is asked may learn of it a moment later.
        deadline = time.monotonic() + self._timeout
        while True:
            states = self.states(at_least)
            late = [
                name
                for name, partitions in at_least.items()
                if name not in states or states[name].partitions < partitions
            ]
            if not late:
                return states
            if time.monotonic() >= deadline:
                raise KafkaUnavailableError(
                    f"Kafka at {self._kafka.bootstrap_servers} has accepted but does not show "
                    f"{', '.join(late)}."
                )
            time.sleep(_POLL_SECONDS)


def _id(described: Any) -> str:
    # librdkafka writes ids in plain base64, Kafka's own tools (org.apache.kafka.common.Uuid) in
    # the alphabet that is safe in URLs.
    return str(described.topic_id).translate(str.maketrans("+/", "-_"))


def topic_ids(
    kafka: KafkaSettings, names: Iterable[str], timeout: float = TIMEOUT_SECONDS
) -> dict[str, str]:
    """Kafka's ids of those topics that exist, by name.

    Args:
        kafka: How to reach the cluster.
        names: Topics to look for.
        timeout: How long to wait for the answer, in seconds.

    Raises:
        KafkaUnavailableError: No broker answered in time.
        KafkaRefusedError: The broker refuses, for example for want of rights.
    """
    return TopicAdmin(kafka, timeout).ids(names)
