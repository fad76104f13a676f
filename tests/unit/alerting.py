"""Rules, ticks and restarts for tests of alerts."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import fastavro

from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.releases import latest
from inferwatch_schemas.wire import PREFIX, Encoder
from inferwatch_streams.alerts.alert import Alert
from inferwatch_streams.alerts.settings import AlertSettings
from inferwatch_streams.alerts.silence import Silence
from inferwatch_streams.alerts.state import Change, State
from inferwatch_streams.alerts.step import step
from inferwatch_streams.commands.command import Command
from inferwatch_streams.commands.obeying import Obeyed, obeyed
from inferwatch_streams.rules.finding import Finding

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_780_000_000 * SECOND
_ENCODERS = {name: Encoder(name, PinnedRegistry()) for name in ("alert", "silence")}
_SCHEMAS = {name: fastavro.parse_schema(latest(name).schema) for name in _ENCODERS}


@dataclass(frozen=True)
class Rule:
    """What alerts want to know of a rule."""

    name: str = "errors"
    kind: str = "threshold"
    severity: str = "high"
    condition_id: str = "c1"
    pending: int = 0
    keep_firing: int = 0
    cooldown: int = 0
    group_by: tuple[str, ...] = ()
    runbook: str | None = "docs/runbooks/errors.md"

    def render(self, finding: Finding) -> tuple[str, str]:
        """Of the value alone."""
        return f"{self.name} is {finding.value}", ""


def found(service: str = "chat", value: float = 1.0, **details: Any) -> Finding:
    """A finding about a service."""
    return Finding(
        labels={"service": service}, value=value, threshold=0.5, samples=10, details=details
    )


@dataclass
class Alerting:
    """Alerts of some rules, from tick to tick.

    Attributes:
        rules: By name.
        settings: How alerts behave.
        at: Time of the newest tick.
        state: After it.
        log: All that was written, as read back.
        topic: The newest record of each key, encoded.
    """

    rules: Mapping[str, Rule] = field(default_factory=lambda: {"errors": Rule()})
    settings: AlertSettings = field(default_factory=AlertSettings)
    at: int = START
    state: State = field(default_factory=State)
    log: list[Change] = field(default_factory=list)
    topic: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def tick(
        self,
        *findings: Finding,
        after: int = SECOND,
        also: Mapping[str, Sequence[Finding]] | None = None,
    ) -> list[Change]:
        """A tick some time after the newest, of a worker that knows only the topic.

        Findings are of the first rule, others in ``also``.
        """
        self.restart()
        self.at += after
        by_rule = dict.fromkeys(self.rules, ()) | {next(iter(self.rules), ""): findings}
        return self.evaluate(self.at, {**by_rule, **(also or {})})

    def evaluate(self, at: int, by_rule: Mapping[str, Sequence[Finding]]) -> list[Change]:
        """A tick at a time."""
        self.state, changed = step(self.state, self.rules, by_rule, at, self.settings)
        return self._write(changed)

    def obey(self, action: str, target: str, **fields: Any) -> Obeyed:
        """Carry out a command, given at the newest tick; a new one where no id is given."""
        given = {
            "command_id": f"command {len(self.log)} {action}",
            "event_time": self.at,
            "actor": "anna",
        }
        command = Command(action=action, target=target, **{**given, **fields})
        done = obeyed(self.state, command, self.at)
        self.state = done.state
        self._write(done.changed)
        return done

    def restart(self) -> None:
        """Forget the state, and read it from the topic."""
        self.state = State.loaded(read(schema, value) for schema, value in self.topic.values())

    def _write(self, changed: Iterable[Change]) -> list[Change]:
        written: list[Change] = []
        for each in changed:
            if isinstance(each, str):
                del self.topic[each]
                written.append(each)
                continue
            schema = "alert" if isinstance(each, Alert) else "silence"
            key = each.fingerprint if isinstance(each, Alert) else each.key
            self.topic[key] = schema, _ENCODERS[schema].encode(each.to_record())
            written.append(read(*self.topic[key]))
        self.log += written
        return written


def read(schema: str, value: bytes) -> Alert | Silence:
    """A record as the topic has it."""
    body = io.BytesIO(value[PREFIX.size :])
    record: Any = fastavro.schemaless_reader(body, _SCHEMAS[schema], None)
    return Alert.from_record(record) if schema == "alert" else Silence.from_record(record)


def statuses(written: Iterable[Change]) -> list[str]:
    """Of alerts that were written."""
    return [each.status for each in written if isinstance(each, Alert)]


def transitions(written: Iterable[Change]) -> list[str]:
    """Statuses that alerts came to, without refreshes."""
    seen: set[str] = set()
    came = []
    for each in written:
        if isinstance(each, Alert) and each.transition_id not in seen:
            seen.add(each.transition_id)
            came.append(each.status)
    return came


def heard(written: Iterable[Change]) -> list[tuple[str, str]]:
    """Service and status of what a notifier tells that tells each id once."""
    seen: set[str] = set()
    tells = []
    for each in written:
        if isinstance(each, Alert) and each.notification_id not in {None, *seen}:
            seen.add(str(each.notification_id))
            tells.append((dict(each.labels)["service"], each.status))
    return tells
