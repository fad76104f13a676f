"""Errors of reading traces."""


class TraceError(Exception):
    """A trace cannot be read; the message names the file, and the line where there is one."""
