"""From real events to an incident: a vLLM server under rising load, through every pure part."""

import os
from functools import cache
from pathlib import Path

import pytest
from vllm_server import SECOND, SERVER, Level, levels, rows

from inferwatch_streams.backtest.chunks import PastWindows
from inferwatch_streams.backtest.episode import Episode, Episodes
from inferwatch_streams.backtest.replay import ticked
from inferwatch_streams.incidents.incident import Incident
from inferwatch_streams.incidents.incidents import Incidents
from inferwatch_streams.incidents.policy import Placement, Policy
from inferwatch_streams.rules.reading import read_rules

FOLDER = (
    Path(
        os.environ.get("INFERWATCH_PUBLIC_TRACES", Path(__file__).parents[2].parent / "shared/data")
    )
    / "vllm_burstgpt"
)
pytestmark = pytest.mark.skipif(
    not FOLDER.exists(),
    reason="vllm_burstgpt is absent: set INFERWATCH_PUBLIC_TRACES to the folder of public traces",
)
WINDOW = 10 * SECOND
OBJECTIVE = 2.0
"""Seconds within which 95 of 100 calls are to have their first token."""
RULES = """
rules:
  - name: first-token
    kind: threshold
    severity: high
    measure: first_token_p95
    by: [service]
    window: 1m
    above: 2
    for: 30s
    keep_firing_for: 1m
    min_samples: 20
    summary: "{service} takes {value} to the first token"
    runbook: https://runbooks.example/first-token
  - name: engine-full
    kind: threshold
    severity: medium
    measure: avg(requests_running)
    by: [host]
    window: 30s
    above: 200
    for: 20s
    keep_firing_for: 1m
    summary: "{host}: the engine runs {value} requests of at most 256"
  - name: gpu-memory
    kind: threshold
    severity: medium
    measure: gpu_memory_used_ratio
    by: [host, device]
    window: 1m
    above: 0.9
    for: 1m
    keep_firing_for: 2m
    summary: "{host}: the memory of {device} is {value} full"
"""


@cache
def replayed(rules: Path) -> tuple[list[Level], list[Episode], list[Incident]]:
    """The levels, what fired, and every state of incidents that would have been written."""
    server = levels(FOLDER)
    past, episodes = PastWindows(rows(server)), Episodes()
    policy = Policy(placements=(Placement((SERVER,), (SERVER,)),))
    incidents = Incidents(policy)
    written: list[Incident] = []
    end = server[-1].end + 600 * SECOND
    ticks = range(server[0].start // WINDOW * WINDOW, end, WINDOW)
    for tick in ticked(read_rules(rules), past.at, ticks):
        assert not tick.evaluation.failures
        episodes.tick(tick.changed, tick.evaluation.findings)
        for alert in tick.changed:
            written += incidents.alert(alert)
        written += incidents.tick(tick.at)
    return server, episodes.all(), written


@pytest.fixture(scope="module")
def rules_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rules that a team of this server would write."""
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    return path


def test_the_first_token_rule_fires_where_the_objective_is_broken(rules_file: Path) -> None:
    """At each level whose calls break it, at none below, and is over before the next begins."""
    server, episodes, _ = replayed(rules_file)
    broken = [level for level in server if level.first_token(0.95) > OBJECTIVE]
    assert [level.load for level in broken] == [300, 400]
    fired = [episode for episode in episodes if episode.rule == "first-token"]
    assert len(fired) == len(broken)
    for episode, level in zip(fired, broken, strict=True):
        assert level.start < episode.fired_at <= level.end + WINDOW
        assert episode.peak is not None
        assert episode.peak > OBJECTIVE
        assert episode.resolved_at is not None
        # A minute for the window to be empty, and one that it fires on.
        assert level.end < episode.resolved_at <= level.end + 130 * SECOND


def test_the_incident_names_the_gpu_and_the_engine(rules_file: Path) -> None:
    """It opens at the level where the objective is broken, knows why, and ends by itself."""
    server, _, written = replayed(rules_file)
    opened = written[0]
    broken = next(level for level in server if level.first_token(0.95) > OBJECTIVE)
    assert opened.transition == "opened"
    assert broken.start < opened.opened_at <= broken.end + WINDOW
    assert opened.services == (SERVER,)
    at_this_level = [each for each in written if each.event_time <= broken.end + 120 * SECOND]
    cause = at_this_level[-1].probable_cause
    assert cause is not None
    assert "GPU on vllm: vllm: the memory of GPU-0 is 91.7 % full" in cause
    assert "before the first symptom; where vllm runs" in cause
    assert "engine on vllm: vllm: the engine runs 2" in cause
    assert written[-1].status == "resolved"
    assert written[-1].resolved_by is None
