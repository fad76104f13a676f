"""The example service: each of its answers is an event."""

from collections import Counter
from pathlib import Path

from chat_example import SERVICE, drive, served
from pipeline import Stack
from test_sdk import read

from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.wire import decode

REQUESTS = 400
# Of the default seed: all that the service can answer.
STATUSES = {"200", "400", "404", "500", "503"}


def test_each_answer_is_an_event(stack: Stack, tmp_path: Path) -> None:
    """Also those just before SIGTERM; streams know their first token, errors their status."""
    with served(stack.kafka, tmp_path) as url:
        statuses = drive(url, REQUESTS)
    assert statuses.keys() == STATUSES
    found = [decode(m.value(), PinnedRegistry()) for m in read(stack, SERVICE, REQUESTS)]
    assert sorted(event["sequence"] for event in found) == list(range(REQUESTS))
    failed = Counter(
        str(event["http_response_status_code"]) for event in found if event["error_type"]
    )
    # A client that goes away from a stream has had its 200, and its call is one that was cancelled.
    left = failed.pop("None")
    assert 0 < left < REQUESTS / 10
    assert failed == {status: count for status, count in statuses.items() if status != "200"}
    for event in found:
        began = event["error_type"] is None or event["http_response_status_code"] is None
        streams = event["endpoint"] == "/v1/chat/stream"
        assert (event["time_to_first_token_seconds"] is not None) is (began and streams)
        assert event["user_id"].startswith("user-")
        assert event["gen_ai_provider_name"] == "stand-in"
        if event["error_type"] is None:
            assert event["gen_ai_usage_output_tokens"] >= 4
