"""Clients of the chat service, as many a second as told, however long it takes to answer.

python examples/chat_service/load.py --url http://127.0.0.1:8000 --rate 20 --requests 1000

Equal seeds ask equal questions at equal times. Once in a while a crowd comes at once, which the
service must turn away in part; a few questions are too long, or for a model that does not exist;
half of the clients read a stream, and a few of them go away before its end. At the end, or at
Ctrl-C, it prints as JSON how many answers had which status.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

# A crowd comes with one request in so many, and is so large.
CROWD_EVERY: Final = 200
CROWD: Final = 40
PATIENCE_SECONDS: Final = 30.0
NO_ANSWER: Final = "no answer"


@dataclass(frozen=True, slots=True)
class Ask:
    """One client's request.

    Attributes:
        wait_seconds: After the one before it.
        path: Of the endpoint.
        body: As JSON.
        leaves: Whether the client reads one chunk and goes.
    """

    wait_seconds: float
    path: str
    body: dict[str, Any]
    leaves: bool


def asks(seed: int, rate: float) -> Iterator[Ask]:
    """Requests without end.

    Args:
        seed: Of all chance in it.
        rate: Requests a second, on average and without the crowds.
    """
    chance = random.Random(seed)  # noqa: S311  # a load, no secret
    number = 0
    while True:
        wait = chance.expovariate(rate)
        for _ in range(CROWD if chance.random() < 1 / CROWD_EVERY else 1):
            number += 1
            yield _ask(chance, number, wait)
            wait = 0.0


def _ask(chance: random.Random, number: int, wait: float) -> Ask:
    words = 2000 if chance.random() < 0.01 else 1 + int(chance.expovariate(1 / 60))  # noqa: PLR2004  # one in a hundred
    model = chance.choices(
        ["stand-in-small", "stand-in-large", "stand-in-huge"], weights=[70, 29, 1]
    )[0]
    streams = chance.random() < 0.5  # noqa: PLR2004  # half
    body = {
        "question": f"Question {number}: " + "why " * words,
        "model": model,
        "user": f"user-{chance.randrange(100)}",
    }
    return Ask(wait, "/v1/chat/stream" if streams else "/v1/chat", body, chance.random() < 0.05)  # noqa: PLR2004  # one in twenty


async def send(client: httpx.AsyncClient, ask: Ask, statuses: Counter[str]) -> None:
    """Make one request, read its answer, and count its status."""
    try:
        async with client.stream("POST", ask.path, json=ask.body) as answer:
            async for _ in answer.aiter_bytes():
                if ask.leaves:
                    break
            statuses[str(answer.status_code)] += 1
    except httpx.HTTPError:
        statuses[NO_ANSWER] += 1


async def drive(url: str, rate: float, requests: int | None, seed: int) -> Counter[str]:
    """Send requests until so many were sent, or a signal comes; how many had which status.

    Args:
        url: Of the service.
        rate: Requests a second.
        requests: None for no end.
        seed: Of the load.
    """
    stop = asyncio.Event()
    for of_stop in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(of_stop, stop.set)
    statuses: Counter[str] = Counter()
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS, limits=limits) as client,
        asyncio.TaskGroup() as clients,
    ):
        for number, ask in enumerate(asks(seed, rate)):
            if number == requests or stop.is_set():
                break
            if ask.wait_seconds:
                await asyncio.sleep(ask.wait_seconds)
            clients.create_task(send(client, ask, statuses))
    return statuses


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Clients of the chat service.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    parser.add_argument("--requests", type=int, help="how many; without it, until Ctrl-C")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    statuses = asyncio.run(drive(told.url, told.rate, told.requests, told.seed))
    sys.stdout.write(json.dumps(dict(sorted(statuses.items()))) + "\n")


if __name__ == "__main__":
    main()
