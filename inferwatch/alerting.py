"""Alerts and silences from the command line: reading their topic, and publishing commands."""

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

from inferwatch import compacted_topics, state_topics
from inferwatch.errors import CommandError
from inferwatch.standard_error import tell
from inferwatch_schemas.instants import now_micros
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import Registry
from inferwatch_schemas.topics import ALERTS, COMMANDS
from inferwatch_streams.alerts.alert import ACKNOWLEDGED, FIRING, PENDING, Alert
from inferwatch_streams.alerts.silence import KEY_PREFIX, Silence
from inferwatch_streams.commands.command import Command
from inferwatch_streams.errors import MatcherError

ACTIVE: Final = (PENDING, FIRING, ACKNOWLEDGED)


def read(
    kafka: KafkaSettings, registry: Registry
) -> tuple[Mapping[str, Alert], Mapping[str, Silence]]:
    """Alerts by fingerprint and silences by id; what cannot be used is told on standard error.

    Raises:
        SchemasError: As ``state_topics.read``.
    """
    alerts: dict[str, Alert] = {}
    silences: dict[str, Silence] = {}
    for stated in state_topics.read(kafka, registry, ALERTS, tell):
        try:
            if stated.key.startswith(KEY_PREFIX):
                silence = Silence.from_record(stated.record)
                silences[silence.silence_id] = silence
            else:
                alerts[stated.key] = Alert.from_record(stated.record)
        except (KeyError, MatcherError) as error:
            tell(f"{ALERTS.name}: {stated.key} cannot be used: {error}")
    return alerts, silences


def find(alerts: Mapping[str, Alert], name: str) -> Alert:
    """The alert of a fingerprint, or of what only one begins with.

    Raises:
        CommandError: There is none, or more than one.
    """
    found = (
        [alerts[name]]
        if name in alerts
        else [
            alert for fingerprint, alert in alerts.items() if name and fingerprint.startswith(name)
        ]
    )
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"{len(found)} alerts begin with {name!r}; write more of it.")
    raise CommandError(f"There is no alert {name!r}; see: inferwatch alerts list --all")


def publish(
    kafka: KafkaSettings, registry: Registry, action: str, targets: Iterable[str], **fields: Any
) -> None:
    """Publish a command for each target; the role rules carries them out.

    Raises:
        SchemasError: As ``compacted_topics.publish``.
    """
    now, actor = now_micros(), compacted_topics.actor() or "unknown"
    records = {
        target: Command(
            command_id=secrets.token_hex(8),
            event_time=now,
            actor=actor,
            action=action,
            target=target,
            **fields,
        ).to_record()
        for target in targets
    }
    compacted_topics.publish(kafka, COMMANDS, registry, records)
