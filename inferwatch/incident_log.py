"""The incidents as their topic says them now."""

from collections.abc import Mapping

from inferwatch import state_topics
from inferwatch.standard_error import tell
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import Registry
from inferwatch_schemas.topics import INCIDENTS
from inferwatch_streams.incidents.incident import Incident


def incidents_now(kafka: KafkaSettings, registry: Registry) -> Mapping[str, Incident]:
    """The newest state of each incident, by its id; what cannot be used is told on standard error.

    Raises:
        SchemasError: As ``state_topics.read``.
    """
    incidents: dict[str, Incident] = {}
    for stated in state_topics.read(kafka, registry, INCIDENTS, tell):
        try:
            incidents[stated.key] = Incident.from_record(stated.record)
        except (KeyError, TypeError, ValueError) as error:
            tell(f"{INCIDENTS.name}: {stated.key} cannot be used: {error!r}")
    return incidents
