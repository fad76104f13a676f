"""What is waited for is known from its first moment to its end."""

import pytest

from inferwatch_schemas.columnar.waits import Waits


def test_a_wait_begun_again_is_the_same_wait() -> None:
    """A flush that fails and is tried again waits since the first try."""
    now = 10.0
    waits = Waits(lambda: now)
    waits.begin("Kafka")
    now = 14.0
    waits.begin("Kafka")
    now = 15.0
    assert waits.seconds() == {"Kafka": 5.0}
    waits.end("Kafka")
    waits.end("Kafka")
    assert waits.seconds() == {}


def test_a_wait_that_fails_ends_with_its_block() -> None:
    """Nobody waits any more after a cancellation or an error."""
    waits = Waits(lambda: 0.0)

    def insert() -> None:
        with waits.during("ClickHouse"):
            assert waits.seconds() == {"ClickHouse": 0.0}
            raise RuntimeError

    with pytest.raises(RuntimeError):
        insert()
    assert waits.seconds() == {}
