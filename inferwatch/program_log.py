"""The log of a program that runs until it is told to stop."""

import logging
from enum import StrEnum
from typing import TextIO

import structlog


class LogLevel(StrEnum):
    """How much it tells."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def write_log(level: LogLevel, file: TextIO) -> None:
    """Log to a file from a level up."""
    number = logging.getLevelNamesMapping()[level.name]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file),
    )
