"""A call as the record of a ``request`` event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.controls.control import BLOCKED

if TYPE_CHECKING:
    from inferwatch_agents.calls import Call
    from inferwatch_agents.owner import Owner

# The schema wants a provider, and none of its names is this.
UNKNOWN: Final = "unknown"


def request_record(call: Call, owner: Owner | None) -> dict[str, Any]:
    """All fields but event_id, producer_id, sequence and event_time.

    Args:
        call: One that has ended.
        owner: Names service and environment.
    """
    # What a control stopped was not sent: how fast that went, or a fallback, is no latency.
    sent = call.error_type not in BLOCKED
    return {
        "service_name": owner.service if owner else "",
        "deployment_environment_name": owner.environment if owner else "",
        "gen_ai_operation_name": call.operation,
        "gen_ai_provider_name": call.provider or UNKNOWN,
        "gen_ai_request_model": call.model,
        "gen_ai_response_model": call.response_model,
        "endpoint": call.endpoint,
        "http_request_method": call.method,
        "http_response_status_code": call.status_code,
        "error_type": call.error_type,
        "duration_seconds": call.duration_seconds if sent else None,
        "time_to_first_token_seconds": call.time_to_first_token_seconds if sent else None,
        "gen_ai_usage_input_tokens": call.input_tokens,
        "gen_ai_usage_output_tokens": call.output_tokens,
        "gen_ai_usage_cache_read_input_tokens": call.cached_tokens,
        "gen_ai_usage_reasoning_output_tokens": call.reasoning_tokens,
        "cost_usd_micros": call.cost_usd_micros,
        "user_id": call.user,
        "session_id": call.session,
        "experiments": [
            {"experiment": experiment, "variant": variant}
            for experiment, variant in call.experiments
        ],
        "trace_id": call.trace_id,
        "span_id": call.span_id,
        # No field of the schema: the traceparent header has it.
        "trace_flags": call.trace_flags,
    }
