"""The contenders on the JVM: Kafka Streams and Flink, built by Maven from ``jvm/``."""

import os
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from inferwatch.embedded.java import find_java
from inferwatch.embedded.maven import run_maven
from inferwatch_schemas.kafka import KafkaSettings
from tests.benchmarks.jvm_results import WindowResults
from tests.benchmarks.measuring import Cost, started
from tests.benchmarks.request_load import (
    GROUPS,
    MICROS,
    OUT_OF_ORDER_SECONDS,
    PARTITIONS,
    WINDOW_MICROS,
    Load,
    make_load,
    publish,
)
from tests.benchmarks.totals import check, merged

PROJECT = Path(__file__).parent / "jvm"
JAVA_RELEASE = 17
HEAP = "2g"
# The load has these many partitions at most; more threads would have none.
THREADS = min(os.cpu_count() or 1, PARTITIONS)
INPUT, OUTPUT = "jvm.requests", "jvm.results"
# How long after a load its closing events are.
CLOSING_MICROS = 3600 * MICROS
WARM_UP_SECONDS = 240.0

# What Flink's own configuration opens to it on Java 17.
OPENED = (
    *("java.lang", "java.lang.reflect", "java.net", "java.io", "java.nio", "java.text"),
    *("java.time", "java.util", "java.util.concurrent", "java.util.concurrent.atomic"),
    *("java.util.concurrent.locks", "sun.nio.ch"),
)


@dataclass(frozen=True)
class Engine:
    """A contender on the JVM.

    Attributes:
        name: For messages.
        module: Its folder in ``jvm/``.
        program: Its main class.
        options: Of its Java.
        closing: Whether its windows are put out only once event time has passed them.
    """

    name: str
    module: str
    program: str
    options: tuple[str, ...] = ()
    closing: bool = False

    def __call__(self, kafka: KafkaSettings, folder: Path, warm_up: Load, load: Load) -> Cost:
        """Its cost, until Kafka has the last result of the load."""
        admin = AdminClient(kafka.confluent())
        topics = [NewTopic(name, PARTITIONS, 1) for name in (INPUT, OUTPUT)]
        for created in admin.create_topics(topics).values():
            created.result(20)
        after = [closing(warm_up), closing(load)] if self.closing else []
        results = WindowResults(kafka, OUTPUT, {group for end in after for group in end.totals})
        before, events = len(warm_up.values), len(load.values)
        try:
            with started(self._command(kafka, folder), folder) as engine:
                publish(kafka, INPUT, warm_up.values)
                for end in after[:1]:
                    publish(kafka, INPUT, end.values)
                engine.wait(lambda: results.reach(before), WARM_UP_SECONDS)
                engine.pause()
                publish(kafka, INPUT, load.values)
                for end in after[1:]:
                    publish(kafka, INPUT, end.values)
                cost = engine.cost_until(
                    lambda: results.reach(before + events),
                    events,
                    limit_seconds=60 + events / 5_000,
                )
            check(self.name, results.totals(), merged(warm_up.totals, load.totals))
            return cost
        finally:
            results.close()

    def _command(self, kafka: KafkaSettings, folder: Path) -> list[str]:
        build = PROJECT / self.module / "build"
        state = folder / "state"
        state.mkdir()
        return [
            str(find_java(JAVA_RELEASE)),
            *(f"-Xmx{HEAP}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *self.options),
            *("-cp", f"{build}/*:{build}/libraries/*", self.program),
            *(kafka.bootstrap_servers, INPUT, OUTPUT, str(state), str(THREADS)),
            str(OUT_OF_ORDER_SECONDS),
        ]


KAFKA_STREAMS = Engine("Kafka Streams", "kafka-streams", "inferwatch.bench.KafkaStreamsContender")
FLINK = Engine(
    "Flink",
    "flink",
    "inferwatch.bench.FlinkContender",
    options=tuple(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED),
    closing=True,
)


def build() -> None:
    """Compile the contenders; Maven fetches their libraries the first time.

    Raises:
        EmbeddedError: Java 17 or Maven is missing, or Maven failed.
    """
    find_java(JAVA_RELEASE)
    # Clean, since libraries of another version would stay beside the new ones.
    goals = ["--file", str(PROJECT / "pom.xml"), "clean", "package"]
    run_maven(goals, what="Kafka Streams and Flink")


def versions() -> dict[str, str]:
    """Of Java, and of the libraries that the contenders were built with."""
    java = subprocess.run(  # noqa: S603 -- the Java that was found, no shell
        [find_java(JAVA_RELEASE), "-version"], capture_output=True, text=True, check=True
    )
    space = "{http://maven.apache.org/POM/4.0.0}"
    project = ET.parse(PROJECT / "pom.xml").getroot()  # noqa: S314 -- our own file
    properties = {element.tag.removeprefix(space): element.text or "" for element in project.iter()}
    return {
        "java": java.stderr.splitlines()[1],
        "kafka_streams": properties["kafka.version"],
        "flink": properties["flink.version"],
        "flink_connector_kafka": properties["flink.kafka.version"],
        "avro": properties["avro.version"],
    }


def closing(load: Load) -> Load:
    """An event for each partition, which says that the load's event times have passed."""
    last = (max(window for window, _, _ in load.totals) + 1) * WINDOW_MICROS
    return make_load(9, PARTITIONS, min(GROUPS), last + CLOSING_MICROS)
