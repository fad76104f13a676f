"""Scales a Deployment or StatefulSet through the Kubernetes API, as the worker's service account.

The scale subresource of apps/v1 is read and patched, so the account needs the verbs get and patch
on ``deployments/scale`` or ``statefulsets/scale`` only (Kubernetes API reference, Deployment:
"partially update scale of the specified Deployment"; API Concepts, merge patch). In a pod, address,
certificate and token are where Kubernetes puts them ("Accessing the Kubernetes API from a Pod").
"""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from inferwatch_streams.errors import ActionFailedError, ConfigurationError
from inferwatch_streams.incidents.actions.http import asked, check_url, client, json_of
from inferwatch_streams.incidents.response_action import Context, Outcome, Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
KINDS: Final = ("deployments", "statefulsets")


class KubernetesScale:
    """Adds replicas.

    Options: ``name``, ``namespace``, ``kind`` (deployments or statefulsets); ``add`` so many, or
    ``replicas``, how many it is to have; never more than ``max``. Outside of a pod ``api``,
    ``token_file`` and ``ca_file``.
    """

    changes = True

    def __init__(self, options: Mapping[str, Any], surroundings: Surroundings) -> None:
        self.name = surroundings.name
        self._name = _text(options, "name")
        self._add, self._replicas = _count(options, "add"), _count(options, "replicas")
        if (self._add is None) == (self._replicas is None):
            raise ConfigurationError("one of add and replicas must be given")
        self._max = _count(options, "max")
        # To add twice is not to add once.
        self.idempotent = self._replicas is not None
        namespace = options.get("namespace") or _read(ACCOUNT / "namespace", "namespace")
        kind = options.get("kind", KINDS[0])
        if kind not in KINDS:
            raise ConfigurationError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
        api = check_url(options.get("api") or _in_pod(surroundings), "api").rstrip("/")
        self._what = f"{kind}/{self._name} in {namespace}"
        self._path = f"{api}/apis/apps/v1/namespaces/{namespace}/{kind}/{self._name}/scale"
        self._token = Path(options.get("token_file", ACCOUNT / "token"))
        self._client = client(verify=_trusted(options, api=api))

    def plan(self, _: Context) -> str:
        """What it would be scaled to."""
        now = self._now()
        return f"would scale {self._what} from {now} to {self._wanted(now)}."

    def run(self, _: Context) -> Outcome:
        """Scale it."""
        now = self._now()
        wanted = self._wanted(now)
        if wanted <= now:
            return Outcome(f"{self._what} has {now} replicas already.")
        self._patch(wanted)
        token = json.dumps({"from": now, "to": wanted})
        return Outcome(f"scaled {self._what} from {now} to {wanted}.", undo=token)

    def undo(self, _: Context, token: str) -> str:
        """Scale it back, unless somebody has scaled it since."""
        was = json.loads(token)
        now = self._now()
        if now == was["from"]:
            return f"{self._what} has {now} replicas already."
        if now != was["to"]:
            return f"left {self._what} alone: it was scaled to {now} since."
        self._patch(was["from"])
        return f"scaled {self._what} back to {was['from']}."

    def _wanted(self, now: int) -> int:
        wanted = now + self._add if self._add is not None else self._replicas or 0
        return wanted if self._max is None else min(wanted, self._max)

    def _now(self) -> int:
        try:
            found = json_of(asked(self._client, "GET", self._path, headers=self._headers()))
        except ActionFailedError as error:
            # To look changes nothing.
            raise ActionFailedError(str(error), again=error.again) from error
        replicas = (found.get("spec") or {}).get("replicas", 0)
        if not isinstance(replicas, int):
            raise ActionFailedError(f"the answer has no number of replicas: {replicas!r}.")
        return replicas

    def _patch(self, replicas: int) -> None:
        asked(
            self._client, "PATCH", self._path,
            headers={**self._headers(), "Content-Type": "application/merge-patch+json"},
            content=json.dumps({"spec": {"replicas": replicas}}),
        )  # fmt: skip

    def _headers(self) -> dict[str, str]:
        # Kubernetes renews the token in its file.
        try:
            token = self._token.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ActionFailedError(f"no token of a service account: {error}.") from error
        return {"Authorization": f"Bearer {token}", "Accept": "application/json"}


def _text(options: Mapping[str, Any], name: str) -> str:
    value = options.get(name)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} is missing")
    return value


def _count(options: Mapping[str, Any], name: str) -> int | None:
    value = options.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ConfigurationError(f"{name} is {value!r}; it must be a whole number above 0")
    return value


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name} is missing, and this is no pod of Kubernetes") from error


def _in_pod(surroundings: Surroundings) -> str | None:
    host = surroundings.environment.get("KUBERNETES_SERVICE_HOST")
    port = surroundings.environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return None
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _trusted(options: Mapping[str, Any], *, api: str) -> ssl.SSLContext | bool:
    if api.startswith("http://"):
        return True
    path = Path(options.get("ca_file", ACCOUNT / "ca.crt"))
    if "ca_file" not in options and not path.exists():
        return True
    try:
        return ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"ca_file cannot be used: {error}") from error
