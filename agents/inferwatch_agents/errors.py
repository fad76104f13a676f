"""Errors of the agents."""


class AgentsError(Exception):
    """Base of everything this component raises."""


class PublishError(AgentsError):
    """Kafka cannot be reached, or did not take an event; the message says which and why."""


class ConfigurationError(AgentsError):
    """A setting of the SDK is missing or cannot be; the message says what to change."""


class PricesError(ConfigurationError):
    """A price table cannot be read; the message says what is wrong in it."""


class RedactionError(AgentsError):
    """The content of a log record was withheld; the message says why, without any of it."""
