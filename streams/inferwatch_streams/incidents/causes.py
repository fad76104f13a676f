"""What most likely led to an incident: a ranking of few questions, each answer told.

Of the alerts about hosts, devices and engines in an incident about services, in this order:

1. Is it known to be where the service runs? One on a host of which nobody said what runs there
   comes after.
2. Did it begin before the first of the services' alerts, or soon after it?
3. Is it about a GPU, the engine (queue, KV cache), or the host? A full GPU fills the engine's
   queue, so the GPU comes first.
4. Which began first?
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inferwatch_schemas.instants import moment_text
from inferwatch_streams.incidents.correlation import about_host, placed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferwatch_streams.alerts.alert import Alert
    from inferwatch_streams.incidents.policy import Policy

#: A cause may be seen this long after what it causes, as rules look over windows of their own.
SLACK: Final = 120_000_000
MAX_SUMMARY: Final = 200
#: Others beside the most likely one that are named.
ALSO: Final = 2
KINDS: Final = ("GPU", "engine", "host")
# The first that fits holds; what is about none of them is about the host.
_WORDS: Final = (
    ("GPU", re.compile(r"gpu|xid|ecc\b|_ecc|throttl|nvlink|^MIG-", re.IGNORECASE)),
    ("engine", re.compile(r"queue|kv[-_ ]?cache|requests[-_ ]?running|engine", re.IGNORECASE)),
)


@dataclass(frozen=True, slots=True)
class Cause:
    """The most likely cause.

    Attributes:
        fingerprint: The alert that says so.
        sentence: It, and why it is taken for the cause.
    """

    fingerprint: str
    sentence: str


def kind_of(alert: Alert) -> str:
    """What an alert about a host is about: one of ``KINDS``.

    A label ``cause`` of the rule says it; else the names of rule, metric and device do.
    """
    labels = dict(alert.labels)
    said = next((kind for kind in KINDS if kind.lower() == labels.get("cause", "").lower()), None)
    if said is not None:
        return said
    for text in (f"{labels.get('metric', '')} {alert.rule}", labels.get("device", "")):
        for kind, words in _WORDS:
            if words.search(text):
                return kind
    return "host"


def probable_cause(policy: Policy, alerts: Sequence[Alert]) -> Cause | None:
    """The most likely cause among an incident's alerts; None where none of them can be one.

    An incident about no service has its first alert for a cause where it is about a host.
    """
    suspects = [alert for alert in alerts if about_host(alert)]
    symptoms = [alert for alert in alerts if not about_host(alert)]
    if not suspects:
        return _common(symptoms)
    services = sorted({name for alert in symptoms if (name := dict(alert.labels).get("service"))})
    first = min((alert.started_at for alert in symptoms), default=None)

    def rank(alert: Alert) -> tuple[bool, bool, int, int, str]:
        return (
            not _where(policy, alert, services),
            first is not None and alert.started_at > first + SLACK,
            KINDS.index(kind_of(alert)),
            alert.started_at,
            alert.fingerprint,
        )

    best, *others = sorted(suspects, key=rank)
    sentence = f"{_named(best)} ({_why(policy, best, services, first)})"
    if others:
        sentence += "; with it " + ", ".join(_named(each) for each in others[:ALSO])
        sentence += f" and {len(others) - ALSO} more" if len(others) > ALSO else ""
    return Cause(best.fingerprint, sentence + ".")


def _named(alert: Alert) -> str:
    text = alert.summary.strip().rstrip(".")[:MAX_SUMMARY]
    return f"{kind_of(alert)} on {dict(alert.labels)['host']}: {text or alert.rule}"


def _where(policy: Policy, alert: Alert, services: Sequence[str]) -> list[str]:
    host = dict(alert.labels)["host"]
    return [service for service in services if placed(policy, host, service)]


def _why(policy: Policy, alert: Alert, services: Sequence[str], first: int | None) -> str:
    since = f"since {moment_text(alert.started_at)}"
    if first is None:
        return since
    seconds = round((first - alert.started_at) / 1e6)
    order = (
        "at the same time as the first symptom"
        if seconds == 0
        else f"{abs(seconds)} s {'before' if seconds > 0 else 'after'} the first symptom"
    )
    where = _where(policy, alert, services)
    runs = (
        f"where {', '.join(where)} runs"
        if where
        else "what runs there is not configured; it is taken by its time"
    )
    return f"{since}, {order}; {runs}"


def _common(symptoms: Sequence[Alert]) -> Cause | None:
    """Several services in trouble with one model: the model, or who provides it."""
    services = {dict(alert.labels).get("service") for alert in symptoms} - {None, ""}
    models = {dict(alert.labels).get("model") for alert in symptoms}
    (model, *more) = models or {None}
    if len(services) < 2 or more or not model:  # noqa: PLR2004  # one service has itself in common
        return None
    first = min(symptoms, key=lambda alert: (alert.started_at, alert.fingerprint))
    return Cause(
        first.fingerprint,
        f"Model {model}: it is common to all alerts, of {len(services)} services.",
    )
