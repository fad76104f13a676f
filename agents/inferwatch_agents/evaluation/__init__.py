"""Runs sets of questions against models, once or on a schedule, and says how good they are."""

from inferwatch_agents.evaluation.evaluator import Evaluator, EvaluatorSettings
from inferwatch_agents.evaluation.judges import Judge, contains, custom, exact_match, numeric
from inferwatch_agents.evaluation.question_set import Question, QuestionSet, read_question_set
from inferwatch_agents.evaluation.schedule import Schedule
from inferwatch_agents.evaluation.summary import Summary, Tally

__all__ = [
    "Evaluator",
    "EvaluatorSettings",
    "Judge",
    "Question",
    "QuestionSet",
    "Schedule",
    "Summary",
    "Tally",
    "contains",
    "custom",
    "exact_match",
    "numeric",
    "read_question_set",
]
