"""The four kinds of record that an AI service logs, under OpenTelemetry's GenAI names.

What OpenTelemetry has no attribute for is named as in the ``request`` event, with its unit. In a
monitored call, a request, response or error is the call's: what is not given of model, provider,
operation and endpoint is taken from it, unless another model is given. Nothing here raises.
"""

from __future__ import annotations

from typing import Any, Final

import structlog

from inferwatch_agents.calls import CURRENT
from inferwatch_agents.error_types import class_name
from inferwatch_agents.errors import RedactionError
from inferwatch_agents.logs.content import Content
from inferwatch_agents.logs.faults import fault
from inferwatch_agents.logs.record import ERROR_TYPE, EVENT_NAME
from inferwatch_agents.usage import read

REQUEST: Final = "inferwatch.request"
RESPONSE: Final = "inferwatch.response"
ERROR: Final = "inferwatch.error"
MODEL_PERFORMANCE: Final = "inferwatch.model_performance"

_log = structlog.get_logger("inferwatch")


def request(  # noqa: PLR0913  # each is a field of its own
    *,
    model: str | None = None,
    provider: str | None = None,
    operation: str | None = None,
    endpoint: str | None = None,
    prompt: Any = None,
    system: Any = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    **fields: Any,
) -> None:
    """Log that a model is about to be called.

    Args:
        model: As requested.
        provider: OpenTelemetry gen_ai.provider.name.
        operation: OpenTelemetry gen_ai.operation.name.
        endpoint: Route of the service.
        prompt: Text or messages; only its length is logged unless content is switched on.
        system: Instructions, likewise.
        temperature: As requested.
        max_tokens: As requested.
        fields: More attributes.
    """
    found = {
        "gen_ai.request.temperature": temperature,
        "gen_ai.request.max_tokens": max_tokens,
        "gen_ai.system_instructions": None if system is None else Content(system),
        "gen_ai.input.messages": None if prompt is None else Content(prompt),
    }
    _tell("info", "request", REQUEST, _names(model, provider, operation, endpoint) | found, fields)


def response(  # noqa: PLR0913  # each is a field of its own
    answer: Any = None,
    *,
    model: str | None = None,
    provider: str | None = None,
    operation: str | None = None,
    endpoint: str | None = None,
    completion: Any = None,
    duration_seconds: float | None = None,
    time_to_first_token_seconds: float | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cost_usd_micros: int | None = None,
    **fields: Any,
) -> None:
    """Log that a model has answered.

    Args:
        answer: What a client returned; the model that answered, tokens and why it ended are read
            from it where they are not given. Its text is not.
        model: As requested.
        provider: OpenTelemetry gen_ai.provider.name.
        operation: OpenTelemetry gen_ai.operation.name.
        endpoint: Route of the service.
        completion: Text or messages; only its length is logged unless content is switched on.
        duration_seconds: Of the call.
        time_to_first_token_seconds: From sending the request.
        input_tokens: All of them, cached ones included.
        output_tokens: All of them, reasoning ones included.
        cost_usd_micros: Price in millionths of a US dollar.
        fields: More attributes.
    """
    try:
        said = read(answer)
    except Exception as error:  # noqa: BLE001  # a foreign object may raise anything when asked
        _failed("reading a response", error)
        said = read(None)
    found = {
        "gen_ai.response.model": said.model,
        "gen_ai.response.finish_reasons": None
        if said.finish_reason is None
        else [said.finish_reason],
        "gen_ai.usage.input_tokens": said.input_tokens if input_tokens is None else input_tokens,
        "gen_ai.usage.output_tokens": said.output_tokens
        if output_tokens is None
        else output_tokens,
        "gen_ai.usage.cache_read.input_tokens": said.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": said.reasoning_tokens,
        ERROR_TYPE: said.error_type,
        "duration_seconds": duration_seconds,
        "time_to_first_token_seconds": time_to_first_token_seconds,
        "cost_usd_micros": cost_usd_micros,
        "gen_ai.output.messages": None if completion is None else Content(completion),
    }
    _tell(
        "info", "response", RESPONSE, _names(model, provider, operation, endpoint) | found, fields
    )


def error(  # noqa: PLR0913  # each is a field of its own
    error: BaseException | str,
    *,
    model: str | None = None,
    provider: str | None = None,
    operation: str | None = None,
    endpoint: str | None = None,
    error_type: str | None = None,
    status_code: int | None = None,
    duration_seconds: float | None = None,
    **fields: Any,
) -> None:
    """Log that a call failed.

    Args:
        error: What was raised, or what there is to say.
        model: As requested.
        provider: OpenTelemetry gen_ai.provider.name.
        operation: OpenTelemetry gen_ai.operation.name.
        endpoint: Route of the service.
        error_type: OpenTelemetry error.type; the exception's class when None.
        status_code: HTTP status of the call.
        duration_seconds: Until it failed.
        fields: More attributes.
    """
    raised = isinstance(error, BaseException)
    if error_type is None and isinstance(error, BaseException):
        error_type = class_name(type(error))
    found = {
        ERROR_TYPE: error_type,
        "http.response.status_code": status_code,
        "duration_seconds": duration_seconds,
        "exc_info": error if raised else None,
    }
    said = "the call failed" if raised else error
    _tell("error", said, ERROR, _names(model, provider, operation, endpoint) | found, fields)


def model_performance(  # noqa: PLR0913  # each is a field of its own
    *,
    model: str | None = None,
    provider: str | None = None,
    accuracy: float | None = None,
    error_rate: float | None = None,
    duration_seconds: float | None = None,
    time_to_first_token_seconds: float | None = None,
    output_tokens_per_second: float | None = None,
    samples: int | None = None,
    **fields: Any,
) -> None:
    """Log how a model does.

    Args:
        model: Its name.
        provider: OpenTelemetry gen_ai.provider.name.
        accuracy: Share of right answers, 0 to 1.
        error_rate: Share of calls that failed, 0 to 1.
        duration_seconds: Of a call; say in another field which quantile or mean it is.
        time_to_first_token_seconds: Likewise.
        output_tokens_per_second: Likewise.
        samples: How many calls or answers this is of.
        fields: More attributes.
    """
    found = {
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "accuracy": accuracy,
        "error_rate": error_rate,
        "duration_seconds": duration_seconds,
        "time_to_first_token_seconds": time_to_first_token_seconds,
        "output_tokens_per_second": output_tokens_per_second,
        "samples": samples,
    }
    _tell("info", "model performance", MODEL_PERFORMANCE, found, fields)


def _names(
    model: str | None, provider: str | None, operation: str | None, endpoint: str | None
) -> dict[str, Any]:
    call = CURRENT.get()
    if call is not None and model in (None, call.model):
        model, provider = call.model, provider or call.provider
        operation, endpoint = operation or call.operation, endpoint or call.endpoint
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "endpoint": endpoint or None,
    }


def _tell(level: str, said: Any, name: str, found: dict[str, Any], fields: dict[str, Any]) -> None:
    known = {key: value for key, value in found.items() if value is not None}
    try:
        getattr(_log, level)(said, **{EVENT_NAME: name, **known, **fields})
    except Exception as error:  # noqa: BLE001  # whatever the service's own chain does, its work goes on
        _failed("logging", error)


def _failed(where: str, error: Exception) -> None:
    # The message of a foreign error may be of what was logged.
    fault(where, RedactionError(f"{class_name(type(error))} was raised."))
