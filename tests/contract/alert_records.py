"""Alerts as the leader of their topic writes them."""

from inferwatch_streams.alerts.alert import Alert, fingerprint_of, transition_of
from inferwatch_streams.alerts.memory import Memory
from inferwatch_streams.leading.state_topic import StateTopic

AT = 1_795_559_284_000_000


def alert(service: str, status: str, *, told: bool = True) -> Alert:
    """Return an alert of a service; whether people are to be told of its status."""
    labels = {"service": service}
    fingerprint = fingerprint_of("Slow", labels)
    identity = transition_of(fingerprint, status, AT)
    return Alert(
        fingerprint=fingerprint, event_time=AT, rule="Slow", kind="threshold", severity="high",
        status=status, transition_id=identity, labels=tuple(labels.items()),
        summary=f"{service} is slow", started_at=AT, fired_at=AT,
        details=Memory(notification_id=identity if told else None).to_details({}),
    )  # fmt: skip


async def write(leader: StateTopic, *alerts: Alert) -> None:
    """Write alerts one after the other."""
    for one in alerts:
        leader.append(one.fingerprint, "alert", one.to_record())
        await leader.settle()
