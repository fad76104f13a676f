"""PetShop through the rules themselves: rows as aggregates, windows, rules and alert states."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from petshop import ROW, Scenario, scenarios

from inferwatch_streams.backtest.chunks import PastWindows
from inferwatch_streams.backtest.episode import Episode
from inferwatch_streams.backtest.replay import replay
from inferwatch_streams.backtest.scoring import Score, score
from inferwatch_streams.rules.definition import Rule
from inferwatch_streams.rules.reading import read_rules
from inferwatch_streams.signals import REQUEST_SIGNAL, Kind

RULES = """
rules:
  - name: latency
    kind: anomaly
    severity: medium
    measure: latency_mean
    by: [service]
    window: 5m
    history: 5h
    score: 5
    least_change: 0.25
    direction: above
    for: 5m
    min_samples: 30
    summary: "{service}: a call takes {value}, and usually {expected}"
  - name: availability
    kind: anomaly
    severity: medium
    measure: error_rate
    by: [service]
    window: 5m
    history: 5h
    score: 6
    direction: above
    min_samples: 30
    summary: "{service}: {value} of calls fail, and usually {expected}"
"""
_SECOND = 1_000_000
_STEP = ROW * _SECOND
_BEGIN = 1_790_000_100 * _SECOND
_BLANK: dict[str, Any] = {
    name: [] if measure.kind in {Kind.HISTOGRAM, Kind.TALLY} else 0
    for measure in REQUEST_SIGNAL.measures
    for name in ((measure.name, measure.counts) if measure.counts else (measure.name,))
} | {dimension.name: "" for dimension in REQUEST_SIGNAL.dimensions}


def rules() -> tuple[Rule, ...]:
    """The rules, as a file of them is read."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rules.yaml"
        path.write_text(RULES, encoding="utf-8")
        return read_rules(path)


def judged(part: str) -> Score:
    """As ``detectors.judged``."""
    total = Score(true_episodes=0, false_episodes=0, delays={}, missed=())
    for scenario in scenarios():
        episodes = list(_episodes(scenario, part))
        found = score(episodes, scenario.incidents[part])
        alerts = score(episodes, scenario.troubled[part])
        total += replace(alerts, delays=found.delays, missed=found.missed)
    return total


def _episodes(scenario: Scenario, part: str) -> Iterator[Episode]:
    """What fired in the rows of a part, at their own times.

    The rows are laid end to end: healthy days and incidents are months apart.
    """
    count = len(scenario.times)
    ticks = range(_BEGIN + _STEP, _BEGIN + (count + 1) * _STEP, _STEP)
    for episode in replay(rules(), PastWindows(_rows(scenario)).at, ticks).episodes:
        row = (episode.fired_at - _BEGIN) // _STEP - 1
        if scenario.parts[row] == part:
            yield replace(episode, fired_at=int((scenario.times[row] + ROW) * _SECOND))


def _rows(scenario: Scenario) -> Iterator[tuple[int, str, dict[str, Any]]]:
    micros = np.nan_to_num(scenario.latency * scenario.requests * _SECOND).round()
    for row in range(len(scenario.times)):
        for at, service in enumerate(scenario.services):
            requests, errors = int(scenario.requests[at, row]), int(scenario.errors[at, row])
            if not requests:
                continue
            fields = {
                "service": service,
                "requests": requests,
                "errors": errors,
                "durations": requests,
                "duration_micros": int(micros[at, row]),
                "error_types": ["error"] if errors else [],
                "error_type_counts": [errors] if errors else [],
            }
            yield _BEGIN + row * _STEP, REQUEST_SIGNAL.name, {**_BLANK, **fields}
