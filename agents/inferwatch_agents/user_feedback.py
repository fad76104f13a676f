"""What users say of answers: thumbs and ratings, as ``evaluation`` events.

A comment leaves the service only through a function that has seen it: ``redact``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents import process
from inferwatch_agents.calls import CURRENT
from inferwatch_agents.context import BELONGING

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.calls import Call
    from inferwatch_agents.client import Client

SCHEMA: Final = "evaluation"
KIND: Final = "user_feedback"
METRIC: Final = "satisfaction"
STARS: Final = (1.0, 5.0)
THUMBS: Final = {True: "thumbs_up", False: "thumbs_down"}
WHERE: Final = "feedback"
MICROS: Final = 1_000_000
# A longer comment is cut: the event has to fit its topic.
MOST_COMMENT: Final = 10_000

_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}", re.ASCII)
_SPAN_ID: Final = re.compile(r"(?!0{16})[0-9a-f]{16}", re.ASCII)


def feedback(  # noqa: PLR0913  # what is said, and of what, by name
    rating: bool | float,  # noqa: FBT001  # a thumb is one
    *,
    scale: tuple[float, float] = STARS,
    metric: str = METRIC,
    comment: str | None = None,
    redact: Callable[[str], str | None] | None = None,
    call: Call | None = None,
    model: str | None = None,
    provider: str | None = None,
    trace_id: str | None = None,
    span_id: str | None = None,
    user: str | None = None,
    session: str | None = None,
) -> None:
    """Send what a user says of an answer; without ``init`` it does nothing. Never raises.

    It is of ``call``, else of the call that a ``trace_id`` names, else of the current call. What is
    given besides wins over what that call knows; user and session are else those of ``identify``.

    A rating that is no number of its scale is not sent, and counts in
    ``inferwatch_sdk_faults_total{where="feedback"}``. So does a trace id, span id or redaction that
    cannot be, and then the rest is sent.

    Args:
        rating: True for a thumb up, which passes, False for one down, or a number on the scale.
        scale: Its least and its best, which become 0 and 1; the other way round where less is
            better. A number neither passes nor fails.
        metric: OpenTelemetry gen_ai.evaluation.name.
        comment: What the user wrote; it is left out where there is no ``redact``.
        redact: Returns what may leave of a comment, at most 10,000 characters of which are sent;
            None for nothing.
        call: The judged call, which may have ended.
        model: The judged model; empty in the event where nobody knows it.
        provider: OpenTelemetry gen_ai.provider.name.
        trace_id: W3C trace id of the judged call.
        span_id: W3C span id of the judged call.
        user: Pseudonymous id.
        session: Id.
    """
    sdk = process.active()
    if sdk is None:
        return
    try:
        score, label, passed = _score(rating, scale)
        if call is None and trace_id is None:
            call = CURRENT.get()
        belonging = BELONGING.get()
        record: dict[str, Any] = {
            "service_name": sdk.service,
            "deployment_environment_name": sdk.environment,
            "kind": KIND,
            "gen_ai_provider_name": _text(provider, call and call.provider),
            "gen_ai_request_model": _text(model, call and call.model, call and call.response_model)
            or "",
            "gen_ai_evaluation_name": str(metric),
            "gen_ai_evaluation_score_value": score,
            "gen_ai_evaluation_score_label": label,
            "passed": passed,
            "gen_ai_evaluation_explanation": _comment(sdk, comment, redact),
            "user_id": _text(user, call and call.user, belonging.user),
            "session_id": _text(session, call and call.session, belonging.session),
            "trace_id": _id(sdk, "trace", _text(trace_id, call and call.trace_id), _TRACE_ID),
            "span_id": _id(sdk, "span", _text(span_id, call and call.span_id), _SPAN_ID),
        }
    except Exception as error:  # noqa: BLE001  # the caller's answer is not to fail for a rating
        sdk.fault(WHERE, error)
        return
    sdk.emit(SCHEMA, record)


def _score(rating: bool | float, scale: tuple[float, float]) -> tuple[float, str, bool | None]:  # noqa: FBT001  # as above
    if isinstance(rating, bool):
        return float(rating), THUMBS[rating], rating
    number, worst, best = float(rating), float(scale[0]), float(scale[1])
    # Written so that NaN, which compares false, is refused.
    if not min(worst, best) <= number <= max(worst, best) or not abs(best - worst) > 0:
        raise ValueError(f"The rating {number} is not on the scale from {worst} to {best}.")
    share = (number - worst) / (best - worst)
    return round(share * MICROS) / MICROS, f"{number:g}", None


def _text(*given: object) -> str | None:
    return next((str(value) for value in given if value), None)


def _comment(
    sdk: Client, comment: str | None, redact: Callable[[str], str | None] | None
) -> str | None:
    if comment is None or redact is None:
        return None
    try:
        redacted = redact(comment)
        return None if redacted is None else str(redacted)[:MOST_COMMENT]
    except Exception as error:  # noqa: BLE001  # a comment that could not be redacted stays, the rating goes
        sdk.fault(f"{WHERE} redaction", error)
        return None


def _id(sdk: Client, kind: str, given: str | None, form: re.Pattern[str]) -> str | None:
    if given is None:
        return None
    found = given.lower()
    if form.fullmatch(found):
        return found
    sdk.fault(f"{WHERE} {kind} id", ValueError("It is none of W3C Trace Context."))
    return None
