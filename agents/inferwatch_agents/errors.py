"""Errors of the agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inferwatch_agents.controls.control import Control


class AgentsError(Exception):
    """Base of everything this component raises."""


class PublishError(AgentsError):
    """Kafka cannot be reached, or did not take an event; the message says which and why."""


class ConfigurationError(AgentsError):
    """A setting of the SDK is missing or cannot be; the message says what to change."""


class PricesError(ConfigurationError):
    """A price table cannot be read; the message says what is wrong in it."""


class QuestionSetError(ConfigurationError):
    """A set of questions cannot be used; the message names file, line and field."""


class EvaluationError(AgentsError):
    """An evaluation cannot run; the message says why."""


class ExperimentError(ConfigurationError):
    """A definition of an experiment cannot be; the message names the field and what to change."""


class ControlError(ConfigurationError):
    """A control cannot be; the message names the field and what to change."""


class UnusableRecordError(AgentsError):
    """A record of a compacted topic says nothing that could be used; the message says why."""


class CircuitOpenError(AgentsError):
    """A call was not made, because a control says so; the message says which and why.

    Attributes:
        control: The control.
    """

    def __init__(self, message: str, control: Control) -> None:
        super().__init__(message)
        self.control = control


class RedactionError(AgentsError):
    """The content of a log record was withheld; the message says why, without any of it."""
