"""Errors of the stream processors."""


class StreamsError(Exception):
    """Base of everything this component raises."""


class StreamsSettingsError(StreamsError):
    """A setting cannot be; the message says what to change."""


class MissingCodecError(StreamsError):
    """A compression library that records may need is not installed."""


class UnsupportedVersionError(StreamsError):
    """An installed package is of a version whose internals are not known to fit."""


class MatcherError(StreamsError):
    """A matcher of labels is none; the message says what is wrong with it."""


class ConfigurationError(StreamsError):
    """A file of configuration cannot be used; the message names file, line and field."""


class CommandRefusedError(StreamsError):
    """A command cannot be done; the message says why."""


class ActionFailedError(StreamsError):
    """A response action failed; the message says why.

    Attributes:
        may_have_run: Whether it may have done all the same what it was to do.
        again: Whether another attempt may do better.
    """

    def __init__(self, message: str, *, may_have_run: bool = False, again: bool = True) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run
        self.again = again
