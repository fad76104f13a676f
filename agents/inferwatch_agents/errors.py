"""Errors of the agents."""


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
