"""Errors of the agents."""


class AgentsError(Exception):
    """Base of everything this component raises."""


class PublishError(AgentsError):
    """Kafka cannot be reached, or did not take an event; the message says which and why."""
