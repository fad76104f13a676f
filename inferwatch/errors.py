"""Errors of the command line itself."""


class CommandError(Exception):
    """Base of what a command says in one sentence."""


class NotReadyError(CommandError):
    """Something that a command needs is not set up; the message says what to run."""
