"""Files of rules as people write them, and what is said of those that are wrong."""

from pathlib import Path

import pytest

from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.rules.reading import read_rules

GOOD = """\
rules:
- name: errors
  kind: threshold
  severity: low
  measure: error_rate
  by: [service]
  window: 5m
  above: 0.05
"""
ONE_OF_EACH = (
    GOOD
    + """\
- {kind: burn_rate, severity: low, name: b, sli: latency, bound: 500ms, objective: 0.9,
   pairs: page}
- {kind: change, severity: low, name: c, measure: latency_p95, window: 5m, against: before,
   increase: 2}
- {kind: absence, severity: low, name: d, signal: requests, silent_for: 5m}
- {kind: forecast, severity: low, name: e, measure: disk_used_ratio, window: 1h, limit: 1,
   within: 1h}
- {kind: anomaly, severity: low, name: f, measure: request_rate, window: 1h, history: 7d,
   season: 1d}
- {kind: completeness, severity: low, name: g, window: 1h, above: 0.01}
"""
)


def refusals(folder: Path, *lines: str, text: str = GOOD) -> list[str]:
    """What is wrong with a file to which lines are added, without the file's name."""
    path = folder / "r.yaml"
    path.write_text(text + "".join(f"  {line}\n" for line in lines), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_rules(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
