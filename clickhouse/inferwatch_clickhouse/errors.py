"""What can go wrong with ClickHouse, told once: the driver's own end at ``driver_errors``."""


class ClickHouseError(Exception):
    """Base of everything this component raises; the message is one sentence for a person."""


class ClickHouseSettingsError(ClickHouseError):
    """A connection setting is missing or cannot be; the message says what to change."""


class ClickHouseUnavailableError(ClickHouseError):
    """ClickHouse did not answer, or not now: the same request may be sent again later."""


class ClickHouseRefusedError(ClickHouseError):
    """ClickHouse answered no, and would again: wrong SQL, an unknown table, a value that is none.

    Attributes:
        code: ClickHouse's own error code; None where it gave none.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class ClickHouseAccessError(ClickHouseRefusedError):
    """User or password are wrong, or the user may not do this."""


class MigrationError(ClickHouseError):
    """The migrations of this version and those of the database do not fit, or one failed."""
