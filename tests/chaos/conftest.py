"""Seeds, and an arena for each scenario and broker: ``make chaos SEEDS=n``."""

import os
from collections.abc import Iterator

import pytest
from arena import Arena, opened
from storm import Storm

SEEDS = int(os.environ.get("SEEDS", "20"))
# One seed alone: SEED=7 make chaos.
SEED = os.environ.get("SEED")
# A hard limit of each seed, for a busy machine.
SECONDS = 300
BROKERS = {"embedded": (), "kafka": (pytest.mark.kafka,)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each seed its time."""
    for item in items:
        if item.get_closest_marker("chaos") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SECONDS))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each scenario on the brokers that its module names, with every seed."""
    if "arena" in metafunc.fixturenames:
        kinds = getattr(metafunc.module, "BROKERS", tuple(BROKERS))
        params = [pytest.param(kind, marks=BROKERS[kind]) for kind in kinds]
        metafunc.parametrize("arena", params, indirect=True, scope="module")
    if "seed" in metafunc.fixturenames:
        seeds = range(SEEDS) if SEED is None else [int(SEED)]
        metafunc.parametrize("seed", seeds, ids=lambda seed: f"seed{seed}")


@pytest.fixture(scope="module")
def arena(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Arena]:
    """Yield a broker and ClickHouse of this module's own, kept over all its seeds."""
    name = request.module.__name__.rpartition(".")[2]
    folder = tmp_path_factory.mktemp(f"{name}-{request.param}")
    with opened(request.param, folder, f"{name}_{request.param}") as opened_arena:
        yield opened_arena


@pytest.fixture
def storm(request: pytest.FixtureRequest, arena: Arena, seed: int) -> Iterator[Storm]:
    """Yield one seed of a scenario; what it leaves behind when it fails is killed."""
    storm = Storm(arena, seed, f"-{request.function.__name__}-{seed}")
    failed = request.session.testsfailed
    try:
        yield storm
    finally:
        storm.end(failed=request.session.testsfailed > failed)
