"""What can go wrong with the servers that Inferwatch starts itself."""


class EmbeddedError(Exception):
    """A server of the embedded stack cannot do its work; the message says what to change."""


class PortInUseError(EmbeddedError):
    """Another process listens on the port that was asked for."""


class MissingProgramError(EmbeddedError):
    """A program that the server needs (Java, Maven, the broker) is absent or too old."""


class DownloadError(EmbeddedError):
    """The artifacts of a server could not be fetched."""


class EndedError(EmbeddedError):
    """A server ended while it was needed; the message names its log."""


class StartError(EmbeddedError):
    """A server ended, or was not ready in time; the message quotes the end of its log."""
