"""Posts an incident to a URL: to have something scaled up, or a channel for people opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx

from inferwatch_streams.errors import ActionFailedError, ConfigurationError
from inferwatch_streams.incidents.actions.http import asked, check_url, client
from inferwatch_streams.incidents.response_action import Context, Outcome, Surroundings
from inferwatch_streams.notifications.channels.slack import escaped
from inferwatch_streams.notifications.secret import Secret, scrubbed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_streams.incidents.incident import Incident


#: As Slack asks of a text (https://docs.slack.dev/reference/methods/chat.postMessage).
MAX_SLACK: Final = 4000


class Webhook:
    """Posts JSON.

    Options: ``url``, ``url_env`` or ``url_file``; ``undo_url``, likewise, is posted to in order to
    take it back; ``shape``: ``incident``, or ``slack`` for a channel's webhook (``text`` alone);
    ``headers``; ``idempotent: true`` where the receiver looks at the header ``Idempotency-Key``.
    """

    changes = True
    idempotent = False

    def __init__(self, options: Mapping[str, Any], surroundings: Surroundings) -> None:
        self.name = surroundings.name
        self._url = check_url(surroundings.secret(options, "url"), "url")
        undo_url = surroundings.secret(options, "undo_url")
        self._undo_url = None if undo_url is None else check_url(undo_url, "undo_url")
        self._shape = options.get("shape", self._usual_shape)
        if self._shape not in ("incident", "slack"):
            raise ConfigurationError(f"shape is {self._shape!r}; it must be incident or slack")
        headers = options.get("headers", {})
        if not isinstance(headers, dict):
            raise ConfigurationError("headers must be names and values")
        self._headers = {str(name): str(value) for name, value in headers.items()}
        # Who knows an address may write there; and answers repeat what they were sent.
        given = (self._url, self._undo_url, *self._headers.values())
        self._secrets = [Secret(each) for each in given if each]
        self.idempotent = options.get("idempotent") is True
        self._client = client()

    _usual_shape = "incident"

    def plan(self, _: Context) -> str:
        """Where it would post; without path and query, which may be secret."""
        url = httpx.URL(self._url)
        return f"would post to {url.scheme}://{url.host}."

    def run(self, context: Context) -> Outcome:
        """Post it."""
        answer = self._post(self._url, context, undo=False)
        return Outcome(
            f"posted, answered {answer.status_code}.", undo=self._undo_url and "undo_url"
        )

    def undo(self, context: Context, _: str) -> str:
        """Post to the other URL."""
        if self._undo_url is None:
            raise ConfigurationError("undo_url is not configured any more")
        return f"posted, answered {self._post(self._undo_url, context, undo=True).status_code}."

    def _post(self, url: str, context: Context, *, undo: bool) -> httpx.Response:
        incident = context.incident
        key = f"{incident.incident_id}/{self.name}{'/undo' if undo else ''}"
        payload = (
            {"text": escaped(text_of(incident), MAX_SLACK)}
            if self._shape == "slack"
            else {"undo": undo, "text": text_of(incident), "incident": facts_of(incident)}
        )
        try:
            return asked(
                self._client, "POST", url, json=payload,
                headers={"Idempotency-Key": key, **self._headers},
            )  # fmt: skip
        except ActionFailedError as error:
            raise ActionFailedError(
                scrubbed(str(error), self._secrets),
                may_have_run=error.may_have_run,
                again=error.again,
            ) from None


class WarRoom(Webhook):
    """Asks people into a channel; as ``Webhook``, in Slack's shape, and changes nothing."""

    changes = False
    _usual_shape = "slack"


def text_of(incident: Incident) -> str:
    """An incident for people in a channel."""
    parts = [f"{incident.priority} {incident.incident_id}: {incident.title}"]
    if incident.services:
        parts.append(f"Services: {', '.join(incident.services)}.")
    if incident.probable_cause:
        parts.append(f"Probable cause: {incident.probable_cause}")
    if incident.runbook_url:
        parts.append(f"Runbook: {incident.runbook_url}")
    return "\n".join(parts)


def facts_of(incident: Incident) -> dict[str, Any]:
    """An incident for programs; times are microseconds since 1970 (UTC)."""
    names = (
        "incident_id", "title", "priority", "status", "services", "models", "hosts",
        "probable_cause", "runbook_url", "opened_at",
    )  # fmt: skip
    return {name: getattr(incident, name) for name in names}
