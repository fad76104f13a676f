"""JSON Schemas of what PagerDuty, Slack and Alertmanager take, written from their documentation.

https://developer.pagerduty.com/docs/send-alert-event,
https://docs.slack.dev/reference/block-kit/blocks,
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml.
"""

from typing import Any

TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
URI = {"type": "string", "pattern": "^https?://"}

PAGERDUTY: dict[str, Any] = {
    "type": "object",
    "required": ["routing_key", "event_action"],
    "additionalProperties": False,
    "properties": {
        "routing_key": {"type": "string", "minLength": 1},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "client": {"type": "string"},
        "client_url": URI,
        "links": {
            "type": "array",
            "items": {
                "type": "object", "required": ["href"], "additionalProperties": False,
                "properties": {"href": URI, "text": {"type": "string"}},
            },
        },
        "images": {"type": "array"},
        "payload": {
            "type": "object",
            "required": ["summary", "source", "severity"],
            "additionalProperties": False,
            "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                "source": {"type": "string", "minLength": 1},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": TIME,
                "component": {"type": "string"},
                "group": {"type": "string"},
                "class": {"type": "string"},
                "custom_details": {"type": "object"},
            },
        },
    },
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
    "else": {"required": ["dedup_key"]},
}  # fmt: skip


def _plain(limit: int) -> dict[str, Any]:
    return {
        "type": "object", "required": ["type", "text"], "additionalProperties": False,
        "properties": {
            "type": {"const": "plain_text"}, "emoji": {"type": "boolean"},
            "text": {"type": "string", "minLength": 1, "maxLength": limit},
        },
    }  # fmt: skip


def _block(kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "object", "required": ["type", *fields], "additionalProperties": False,
        "properties": {"type": {"const": kind}, "block_id": {"maxLength": 255}, **fields},
    }  # fmt: skip


_BUTTON = {
    "type": "object", "required": ["type", "text"], "additionalProperties": False,
    "properties": {
        "type": {"const": "button"}, "text": _plain(75), "url": {**URI, "maxLength": 3000},
        "action_id": {"type": "string", "maxLength": 255},
    },
}  # fmt: skip
_MARKDOWN = {
    "type": "object", "required": ["type", "text"], "additionalProperties": False,
    "properties": {
        "type": {"const": "mrkdwn"}, "text": {"type": "string", "minLength": 1, "maxLength": 3000},
    },
}  # fmt: skip
SLACK: dict[str, Any] = {
    "type": "object",
    "required": ["text", "blocks"],
    "additionalProperties": False,
    "properties": {
        "channel": {"type": "string"},
        "text": {"type": "string", "minLength": 1, "maxLength": 40_000},
        "unfurl_links": {"type": "boolean"},
        "blocks": {
            "type": "array",
            "minItems": 1,
            "maxItems": 50,
            "items": {
                "anyOf": [
                    _block("header", text=_plain(150)),
                    _block("section", text=_MARKDOWN),
                    _block(
                        "actions",
                        elements={"type": "array", "items": _BUTTON, "minItems": 1, "maxItems": 25},
                    ),
                    _block(
                        "context",
                        elements={"type": "array", "items": _plain(3000), "maxItems": 10},
                    ),
                ]
            },
        },
    },
}
ALERTMANAGER: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["labels"],
        "additionalProperties": False,
        "properties": {
            "labels": {
                "type": "object",
                "required": ["alertname"],
                "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
                "additionalProperties": {"type": "string", "minLength": 1},
            },
            "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
            "startsAt": TIME,
            "endsAt": TIME,
            "generatorURL": URI,
        },
    },
}
