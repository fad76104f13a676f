"""Calls of a service that have just ended, well or not."""

import time
from typing import Any

from inferwatch_schemas import releases
from tests.contract.load import Event

SCHEMA = releases.latest("request").schema


def call(service: str, *, failed: bool) -> Event:
    """Return a call that has just ended."""
    blank = {each["name"]: _blank(each["type"]) for each in SCHEMA["fields"]}
    given = {
        "event_time": int(time.time() * 1_000_000),
        "service_name": service,
        "http_response_status_code": 500 if failed else 200,
        "error_type": "timeout" if failed else None,
    }
    return Event("request", blank | given)


def _blank(declared: Any) -> Any:
    """Return a value of a type: null where that may be."""
    if isinstance(declared, list):
        return None
    kind = declared["type"] if isinstance(declared, dict) else declared
    return {"string": "x", "array": [], "boolean": False}.get(kind, 0)
