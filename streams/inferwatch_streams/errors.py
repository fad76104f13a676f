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


class LeadingError(StreamsError):
    """This worker does not lead: it has to take over anew, or another one has."""


class TakeOverError(LeadingError):
    """The state topic could not be claimed and read in time; it may be tried again."""


class SupersededError(LeadingError):
    """Another worker has claimed the state topic, or what became of a record is unknown."""


class RuleFailedError(StreamsError):
    """A rule could not be evaluated; others go on."""
