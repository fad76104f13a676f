"""Errors of the embedded ClickHouse, told the way ClickHouse's HTTP interface tells them."""

import re

SYNTAX_ERROR = 62
UNKNOWN_FORMAT = 73
BAD_REQUEST_PARAMETER = 36  # BAD_ARGUMENTS
NOT_IMPLEMENTED = 48
READONLY = 164
TOO_MANY_SIMULTANEOUS_QUERIES = 202
INTO_OUTFILE_NOT_ALLOWED = 358
UNKNOWN_TYPE_OF_QUERY = 78
CANNOT_DECOMPRESS = 271
CANNOT_READ_ALL_DATA = 33
SESSION_IS_LOCKED = 373
AUTHENTICATION_FAILED = 516
REQUEST_TOO_LARGE = 307  # TOO_MANY_BYTES
UNKNOWN_EXCEPTION = 1002

_CODE = re.compile(r"Code: (\d+)\. (?:DB::Exception: )?")
_VERSION = re.compile(r"\s*\(version [^()]*\)\s*$")

# ClickHouse's exceptionCodeToHTTPStatus (src/Server/HTTP/exceptionCodeToHTTPStatus.cpp).
_STATUSES = (
    (403, {164, 192, 193, AUTHENTICATION_FAILED}),
    (404, {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 120, 123}),
    (400, {6, 26, 27, 33, 36, 38, 41, 42, 43, 53, 62, 70, 72, 117, 130, 190, 271, 320, 456, 457}),
    (413, {REQUEST_TOO_LARGE}),
    (501, {NOT_IMPLEMENTED}),
    (408, {159}),
    (503, {TOO_MANY_SIMULTANEOUS_QUERIES, 209, 439}),
)


class ClickHouseError(Exception):
    """A request that ClickHouse refuses.

    Attributes:
        code: ClickHouse's error code (src/Common/ErrorCodes.cpp).
        message: what is wrong, without the `Code: N. DB::Exception:` in front.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """The text a client reads in the answer's body."""
        return f"Code: {self.code}. DB::Exception: {self.message}"

    @property
    def status(self) -> int:
        """The HTTP status ClickHouse answers this code with."""
        return next((status for status, codes in _STATUSES if self.code in codes), 500)


def from_engine(error: RuntimeError) -> ClickHouseError:
    """The error that the engine's text tells; a text without a code becomes UNKNOWN_EXCEPTION."""
    text = str(error)
    found = _CODE.search(text)
    if found is None:
        return ClickHouseError(UNKNOWN_EXCEPTION, text)
    return ClickHouseError(int(found[1]), _VERSION.sub("", text[found.end() :]))
