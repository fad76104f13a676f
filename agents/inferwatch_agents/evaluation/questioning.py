"""One question: asked, and its answer judged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.evaluation.bounded_call import Reply
from inferwatch_agents.evaluation.judges import worth
from inferwatch_agents.evaluation.summary import Outcome
from inferwatch_agents.trace_context import current_trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.evaluation.bounded_call import Caller
    from inferwatch_agents.evaluation.judges import Judge
    from inferwatch_agents.evaluation.question_set import Question

JUDGE_FAILED: Final = "judge_failed"
NO_TEXT: Final = "answer_is_no_text"
# The event's own limit.
MOST_SECONDS: Final = 1_000_000.0


async def outcome_of(
    question: Question, judge: Judge, ask: Callable[[Any], Any], caller: Caller, pass_at: float
) -> tuple[Outcome, bool]:
    """Ask a question and have the answer judged.

    Args:
        question: What is asked.
        judge: Who judges the answer.
        ask: The model.
        caller: Makes the calls of both.
        pass_at: The least score that passes.

    Returns:
        What came of it, and whether a call of the model or the judge hangs.
    """
    trace = current_trace()
    reply = await caller.call(ask, question.input)
    asked = Outcome(question, duration_seconds=min(reply.seconds, MOST_SECONDS), trace=trace)
    if reply.error_type is not None:
        return replace(asked, error_type=reply.error_type, reason=reply.reason), reply.hung
    if not isinstance(reply.value, str):
        said = f"the model returned {type(reply.value).__qualname__}"
        return replace(asked, error_type=NO_TEXT, reason=said), False
    if judge.at_once:
        judged = Reply(judge.score(question, reply.value), None, None, 0.0)
    else:
        judged = await caller.call(judge.score, question, reply.value)
    asked = replace(asked, judge=judge.name)
    if judged.error_type is not None:
        said = f"{judged.error_type}: {judged.reason}"
        return replace(asked, error_type=JUDGE_FAILED, reason=said), judged.hung
    try:
        score, passed = worth(judged.value, pass_at)
    except ValueError as error:
        return replace(asked, error_type=JUDGE_FAILED, reason=str(error)), False
    return replace(asked, score=score, passed=passed), False
