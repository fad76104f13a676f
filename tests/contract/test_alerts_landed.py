"""Alerts and incidents in ClickHouse, and alerts from the command line, over a broker."""

from dataclasses import replace

import pytest
from confluent_kafka import Message, Producer
from load import Event, Log, Record, encode
from pipeline import Stack, wait_until
from random_states import make_states
from tables import STATES, assert_raw_rows
from typer.testing import CliRunner

from inferwatch.main import app
from inferwatch.topic_reading import messages
from inferwatch_schemas.kafka_errors import SILENT
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import ALERTS, COMMANDS
from inferwatch_schemas.wire import decode
from inferwatch_streams.alerts.alert import Alert, fingerprint_of
from inferwatch_streams.alerts.silence import Silence
from inferwatch_streams.alerts.state import State
from inferwatch_streams.commands.command import Command
from inferwatch_streams.commands.obeying import obeyed
from inferwatch_streams.leading.fence import CLAIM_KEY, EPOCH_HEADER

CHAT = Alert(
    fingerprint=fingerprint_of("errors", {"service": "chat"}), event_time=1_790_000_000_000_000,
    rule="errors", kind="threshold", severity="high", status="firing", transition_id="t1",
    labels=(("service", "chat"),), summary="5 % of calls fail", started_at=1_790_000_000_000_000,
    fired_at=1_790_000_000_000_000, value=0.05,
)  # fmt: skip


class Leader:
    """Writes the topic of alerts as the role rules does.

    Attributes:
        epoch: Offset of its claim.
        state: As it knows it.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.epoch = -1
        self.epoch = self.write(CLAIM_KEY, None)
        self.state = State()
        self._read = len(list(messages(stack.kafka, COMMANDS.name, "test")))

    def write(self, key: str, value: bytes | None) -> int:
        """Write a record, or a claim; returns where it stands."""
        offsets: list[int | None] = []

        def delivered(_: object, message: Message) -> None:
            offsets.append(message.offset())

        headers = [(EPOCH_HEADER, str(self.epoch).encode())] if key != CLAIM_KEY else []
        producer = Producer(self._stack.kafka.confluent(), logger=SILENT)
        producer.produce(ALERTS.name, value, key, headers=headers, on_delivery=delivered)
        assert producer.flush(10) == 0
        (offset,) = offsets
        assert offset is not None
        return offset

    def say(self, each: Alert | Silence) -> None:
        """Write a state."""
        schema = "alert" if isinstance(each, Alert) else "silence"
        key = each.fingerprint if isinstance(each, Alert) else each.key
        self.write(key, encode(Event(schema, {**each.to_record(), "epoch": self.epoch})))

    def obey(self) -> None:
        """Do what the commands say that came since."""
        found = list(messages(self._stack.kafka, COMMANDS.name, "test"))
        for message in found[self._read :]:
            value = message.value()
            assert isinstance(value, bytes)
            command = Command.from_record(decode(value, PinnedRegistry()))
            done = obeyed(self.state, command, command.event_time)
            assert done.rejected is None
            self.state = done.state
            for each in done.changed:
                assert not isinstance(each, str)
                self.say(each)
        self._read = len(found)


def run(stack: Stack, *arguments: str, status: int = 0) -> str:
    """What a command says, run against the broker."""
    done = CliRunner().invoke(app, ("alerts", *arguments), env=stack.kafka.to_environment())
    assert done.exit_code == status, (done.output, done.exception)
    return done.output if done.exception is None or status == 0 else str(done.exception)


@pytest.fixture(scope="module")
def log(stack: Stack) -> Log:
    """Return states that a sink has landed, with claims and removals among them."""
    log = Log(stack.kafka)
    states = make_states(3, 40)
    leader = Leader(stack)
    log.publish(states[::2])
    leader.write("silence/s1", None)
    log.publish(states[1::2])
    with stack.worker("sink", "--only", "sink") as worker:
        wait_until(
            lambda: [stack.one(f"SELECT count() FROM {view}") for view in STATES.values()],  # noqa: S608 -- names of these files
            lambda found: found == [40] * len(STATES),
            worker,
            seconds=60,
        )
        worker.stop()
    return log


def test_every_state_is_there_once(stack: Stack, log: Log) -> None:
    """With every field; a claim or a removal is no row, and nothing was buried."""
    assert_raw_rows(stack, log, STATES)
    assert stack.one("SELECT count() FROM dead_letters") == 0


@pytest.mark.parametrize(
    ("view", "schema", "key"),
    [("alerts_now", "alert", "fingerprint"), ("incidents_now", "incident", "incident_id")],
)
def test_what_holds_now_is_the_newest_of_the_newest_leader(
    stack: Stack, log: Log, view: str, schema: str, key: str
) -> None:
    """One row a key, of the highest epoch, whatever a replaced leader wrote after it."""
    newest: dict[str, Record] = {}
    for record in log.of(schema):
        before = newest.get(record.fields[key])
        if before is None or _age(record) > _age(before):
            newest[record.fields[key]] = record
    found = stack.query(f"SELECT {key}, transition_id FROM {view}")  # noqa: S608 -- as above
    assert sorted(found) == sorted(
        (name, record.fields["transition_id"]) for name, record in newest.items()
    )


def _age(record: Record) -> tuple[int, int]:
    return record.fields["epoch"], record.offset


@pytest.mark.usefixtures("log")
def test_an_alert_is_looked_at_taken_silenced_and_resolved(stack: Stack) -> None:
    """As its leader says, whatever a leader that it replaced writes later."""
    zombie, leader = Leader(stack), Leader(stack)
    leader.say(CHAT)
    leader.state = State.loaded([CHAT])
    zombie.say(replace(CHAT, status="resolved"))
    assert "high      firing" in run(stack, "list")
    run(stack, "ack", CHAT.fingerprint[:4], "--comment", "looking at it")
    silenced = run(stack, "silence", "service=~ch.*", "--for", "2h", "--reason", "a test")
    assert "it matches 1 of the alerts" in silenced
    leader.obey()
    assert "acknowledged since" in (shown := run(stack, "show", CHAT.fingerprint))
    assert "looking at it" in shown
    assert 'service=~"ch.*"' in run(stack, "silences")
    run(stack, "unsilence", silenced.split()[1])
    run(stack, "resolve", CHAT.fingerprint, "--reason", "a test")
    leader.obey()
    assert run(stack, "silences") == "No silences.\n"
    sentence = f"{CHAT.fingerprint} is resolved; only what is firing or acknowledged can be"
    assert sentence in run(stack, "ack", CHAT.fingerprint, status=1)
    leader.write(CHAT.fingerprint, None)
    assert run(stack, "list", "--all") == "No alerts.\n"
