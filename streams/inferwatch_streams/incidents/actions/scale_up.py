"""Scales something up: through Kubernetes where a name is given, else through a webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inferwatch_streams.incidents.actions.kubernetes import KubernetesScale
from inferwatch_streams.incidents.actions.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_streams.incidents.response_action import ResponseAction, Surroundings


def scale_up(options: Mapping[str, Any], surroundings: Surroundings) -> ResponseAction:
    """The action that the options are for: see ``KubernetesScale`` and ``Webhook``."""
    if "name" in options:
        return KubernetesScale(options, surroundings)
    return Webhook(options, surroundings)
