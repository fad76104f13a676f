"""JSON Schema of the file of notifications."""

from __future__ import annotations

from typing import Any, Final

from inferwatch_streams.configuration import durations
from inferwatch_streams.notifications.channels.kinds import KINDS, Kind
from inferwatch_streams.notifications.templates import DEFAULTS

_TEMPLATES: Final[dict[str, Any]] = {
    "description": "Jinja2 templates in place of the default ones.",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        name: {"type": "string", "maxLength": 20_000, "default": text}
        for name, text in DEFAULTS.items()
    },
}
_NAME: Final = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
_COMMON: Final[dict[str, Any]] = {
    "type": {"enum": list(KINDS)},
    "send_resolved": {
        "type": "boolean", "default": True, "description": "Whether it is told what has ended.",
    },
    "send_acknowledged": {
        "type": "boolean", "description": "Whether it is told what somebody has acknowledged.",
    },
    "timeout": {
        **durations.SCHEMA, "default": "10s", "description": "How long one attempt may take.",
    },
    "give_up_after": {
        **durations.SCHEMA, "default": "10m",
        "description": "How long a message is tried, before it goes to the dead letters.",
    },
    "limit": {
        "description": "Most messages within a time; more wait, and are grouped meanwhile.",
        "type": "object",
        "additionalProperties": False,
        "required": ["messages", "per"],
        "properties": {
            "messages": {"type": "integer", "minimum": 1, "maximum": 100_000},
            "per": durations.SCHEMA,
        },
    },
    "templates": _TEMPLATES,
}  # fmt: skip


def _channel(name: str, kind: Kind) -> dict[str, Any]:
    ways = [{"required": list(way)} for way in kind.required]
    return {
        "if": {"required": ["type"], "properties": {"type": {"const": name}}},
        "then": {
            "description": kind.about,
            "additionalProperties": False,
            "properties": {**dict.fromkeys(_COMMON, True), **kind.fields},
            **(ways[0] if len(ways) == 1 else {"anyOf": ways}),
        },
    }


FILE_SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Inferwatch notifications",
    "type": "object",
    "additionalProperties": False,
    "required": ["channels"],
    "properties": {
        "channels": {
            "description": "Ways to reach people and tools, by name.",
            "type": "object",
            "propertyNames": {"pattern": _NAME},
            "additionalProperties": {
                "type": "object",
                "required": ["type"],
                "properties": _COMMON,
                "allOf": [_channel(name, kind) for name, kind in KINDS.items()],
            },
        },
        "routes": {
            "description": "Which alerts go where: the first that matches, and those after it "
            "where it says continue. Incidents name their channels themselves.",
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["channels"],
                "properties": {
                    "match": {
                        "description": 'All must match: severity="critical", service=~"chat.*", '
                        "rule!=x.",
                        "type": "array",
                        "items": {"type": "string"},
                    },
                    "channels": {
                        "type": "array", "items": {"type": "string"}, "uniqueItems": True,
                    },
                    "continue": {"type": "boolean", "default": False},
                    "group_by": {
                        "description": "Labels (also rule, severity) whose values make a group; "
                        "what the rule says where this is left out.",
                        "type": "array",
                        "items": {"type": "string", "minLength": 1},
                    },
                    "group_wait": {**durations.SCHEMA, "default": "0s"},
                    "group_interval": {**durations.SCHEMA, "default": "1m"},
                    "repeat_interval": {**durations.SCHEMA, "default": "4h"},
                },
            },
        },
        "templates": _TEMPLATES,
    },
}  # fmt: skip
