"""A finished span of OpenTelemetry's as the record of a ``span`` event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.traces.attribute_text import (
    DROPPED_ATTRIBUTES,
    NAME_BYTES,
    Room,
    cut,
    object_in,
    pairs_in,
)

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Link

# Bytes of the texts of a record: the topic takes 256 KiB, and the fields of their own need some.
RECORD_BYTES: Final = 192 * 1024
DROPPED_EVENTS: Final = "otel.dropped_events_count"
DROPPED_LINKS: Final = "otel.dropped_links_count"
SERVICE: Final = "service.name"
# What OpenTelemetry calls a service that has no name; the program may follow.
UNKNOWN_SERVICE: Final = "unknown_service"
# The second was the name until 1.27.
ENVIRONMENTS: Final = ("deployment.environment.name", "deployment.environment")
HOST: Final = "host.name"
# Attributes with a field of their own.
TEXTS: Final = {
    "error.type": "error_type",
    "gen_ai.operation.name": "gen_ai_operation_name",
    "gen_ai.provider.name": "gen_ai_provider_name",
    "gen_ai.request.model": "gen_ai_request_model",
    "gen_ai.response.model": "gen_ai_response_model",
}
COUNTS: Final = {
    "gen_ai.usage.input_tokens": "gen_ai_usage_input_tokens",
    "gen_ai.usage.output_tokens": "gen_ai_usage_output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "gen_ai_usage_cache_read_input_tokens",
    "gen_ai.usage.reasoning.output_tokens": "gen_ai_usage_reasoning_output_tokens",
}
MOST_TOKENS: Final = 10**12
# What a span takes in memory besides its texts, and an event or link of it, roughly.
SPAN_BYTES: Final = 3000
PART_BYTES: Final = 500
WORD_BYTES: Final = 8


def span_record(span: ReadableSpan, service: str, environment: str) -> dict[str, Any]:
    """All fields but event_id, producer_id, sequence and event_time.

    Args:
        span: It has ended, and has a context.
        service: For a resource that names none.
        environment: Likewise.
    """
    context, scope, resource = span.context, span.instrumentation_scope, _resource(span)
    own, others = _fields(span.attributes or {})
    named = str(resource.pop(SERVICE, ""))
    environments = [resource.pop(name) for name in ENVIRONMENTS if name in resource]
    host = resource.pop(HOST, None)
    if scope is not None and scope.version:
        others["otel.scope.version"] = scope.version
    # Of both the span's is the nearer one; the resource's is kept beside it.
    others |= {
        f"resource.{name}" if name in others else name: value for name, value in resource.items()
    }
    room = Room(RECORD_BYTES)
    state = context.trace_state.to_header()
    message = span.status.description
    record = {
        "start_time": (span.start_time or 0) // 1000,
        "service_name": service
        if not named or named.startswith(UNKNOWN_SERVICE)
        else cut(named, NAME_BYTES),
        "deployment_environment_name": cut(str((*environments, environment)[0]), NAME_BYTES),
        "host_name": None if host is None else cut(str(host), NAME_BYTES),
        "otel_scope_name": cut(scope.name, NAME_BYTES) if scope is not None else None,
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "parent_span_id": None if span.parent is None else f"{span.parent.span_id:016x}",
        "trace_state": state or None,
        "trace_flags": int(context.trace_flags),
        "name": cut(span.name, NAME_BYTES),
        "kind": span.kind.name.lower(),
        "status_code": span.status.status_code.name.lower(),
        "status_message": None if message is None else cut(message),
        **own,
    }
    attributes, left_out = pairs_in(others, room)
    events = [found for event in span.events if (found := _event(event, room))]
    links = [found for link in span.links if (found := _link(link, room))]
    dropped = {
        DROPPED_ATTRIBUTES: span.dropped_attributes + left_out,
        DROPPED_EVENTS: span.dropped_events + len(span.events) - len(events),
        DROPPED_LINKS: span.dropped_links + len(span.links) - len(links),
    }
    attributes += [{"key": name, "value": str(count)} for name, count in dropped.items() if count]
    return {**record, "attributes": attributes, "events": events, "links": links}


def memory_of(span: ReadableSpan) -> int:
    """Bytes that a span takes in memory until it is sent, roughly."""
    parts: list[Event | Link] = [*span.events, *span.links]
    texts = sum(_length(part.attributes) + PART_BYTES for part in parts)
    return SPAN_BYTES + _length(span.attributes) + texts


def _length(attributes: Mapping[str, Any] | None) -> int:
    return sum(map(_weight, attributes.values())) if attributes else 0


def _weight(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, tuple | list):
        return sum(map(_weight, value))
    return sum(map(_weight, value.values())) if isinstance(value, Mapping) else WORD_BYTES


def _resource(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.resource.attributes) if span.resource is not None else {}


def _fields(attributes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those with a field of their own, where they are of its type, and all others."""
    own: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in TEXTS and isinstance(value, str):
            own[TEXTS[name]] = cut(value, NAME_BYTES)
        elif name in COUNTS and type(value) is int and 0 <= value <= MOST_TOKENS:
            own[COUNTS[name]] = value
        else:
            others[name] = value
    return own, others


def _event(event: Event, room: Room) -> dict[str, Any] | None:
    name = cut(event.name, NAME_BYTES)
    if not room.take(name):
        return None
    return {
        "time": event.timestamp // 1000,
        "name": name,
        "attributes": object_in(event.attributes, room, event.dropped_attributes),
    }


def _link(link: Link, room: Room) -> dict[str, Any] | None:
    trace_id, span_id = f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}"
    if not room.take(trace_id, span_id):
        return None
    return {
        "trace_id": trace_id,
        "span_id": span_id,
        "attributes": object_in(link.attributes, room, link.dropped_attributes),
    }
