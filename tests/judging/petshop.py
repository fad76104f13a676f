"""PetShop: a shop of microservices, its healthy days, and 68 injected incidents.

Hardt et al., "The PetShop Dataset: Finding Causes of Performance Issues across Microservices"
(CLeaR 2024), CC-BY-4.0. Each row is five minutes of all services; each incident has an excerpt of
two rows before and about three after its begin. The data's own parts "train" and "test" divide the
incidents; here the healthy days are divided in the middle.
"""

import csv
import io
import json
import math
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.backtest.scoring import KnownIncident

ARCHIVE = (
    Path(os.environ.get("INFERWATCH_PUBLIC_TRACES", Path(__file__).parents[3] / "shared" / "data"))
    / "petshop.tar.gz"
)
SCENARIOS = ("low_traffic", "high_traffic", "temporal_traffic1", "temporal_traffic2")
PARTS = ("train", "test")
FRONT = "PetSite"
"""The service that users see; all incidents are labelled there."""
ROW = 300
"""Seconds that a row is of; its time is when it begins."""
HISTORY = 60
"""Rows of the past that are looked at: five hours, as rules can do by five minutes."""
LEAST_REQUESTS = 30
"""Services with fewer in a row are not judged there."""
HEALTHY = "healthy"

Floats = NDArray[np.float64]
_COLUMNS = (("requests", "Sum"), ("latency", "Average"), ("availability", "Average"))
_Rows = dict[float, dict[str, tuple[float, float, float]]]


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """One scenario: healthy rows, and after them the excerpts of its incidents.

    Attributes:
        name: Of the scenario.
        services: Names.
        times: Begin of each row in seconds since 1970, ascending but from healthy to excerpts.
        parts: Which part each row belongs to; the first ``HISTORY`` rows only teach, as none.
        requests: (services, rows); 0 where there are too few to judge.
        errors: The same of those that failed.
        latency: Mean seconds, NaN where there are too few.
        incidents: By part: of the front or the service that is the cause, and of its metric.
        troubled: By part: the same times, whatever the service and metric.
    """

    name: str
    services: tuple[str, ...]
    times: Floats
    parts: NDArray[np.str_]
    requests: Floats
    errors: Floats
    latency: Floats
    incidents: dict[str, list[KnownIncident]]
    troubled: dict[str, list[KnownIncident]]

    @property
    def adjacent(self) -> NDArray[np.bool_]:
        """Whether each row follows the one before without a gap."""
        return np.diff(self.times, prepend=-math.inf) == ROW


@cache
def scenarios() -> tuple[Scenario, ...]:
    """All scenarios. Those with temporal traffic have no healthy days and take those of high."""
    files = dict(_files())
    return tuple(_scenario(name, files) for name in SCENARIOS)


def _files() -> Iterator[tuple[str, str]]:
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(("metrics.csv", "target.json")):
                file = archive.extractfile(member)
                assert file is not None
                yield member.name.split("/dataset/")[1], file.read().decode()


def _scenario(name: str, files: dict[str, str]) -> Scenario:
    healthy = _rows(
        files.get(f"{name}/noissue/metrics.csv") or files["high_traffic/noissue/metrics.csv"]
    )
    own = f"{name}/noissue/metrics.csv" in files
    excerpts: _Rows = {}
    part_of: dict[float, str] = {}
    incidents: dict[str, list[KnownIncident]] = {part: [] for part in PARTS}
    troubled: dict[str, list[KnownIncident]] = {part: [] for part in PARTS}
    for path, text in files.items():
        scenario, part, *_ = path.split("/")
        if scenario != name or not path.endswith("target.json"):
            continue
        rows = _rows(files[path.replace("target.json", "metrics.csv")])
        excerpts.update(rows)
        part_of.update(dict.fromkeys(rows, part))
        label = json.loads(text)
        place = f"{FRONT}|{label['root_cause']['node']}"
        bounds = {
            "name": path.removesuffix("/target.json"),
            "start": int(label["target"]["timestamp"] * 1e6),
            "end": int((max(rows) + ROW) * 1e6),
        }
        matchers = (
            Matcher("rule", "=", label["target"]["metric"]),
            Matcher("service", "=~", "|".join(map(_escaped, place.split("|")))),
        )
        incidents[part].append(KnownIncident(**bounds, matchers=matchers))
        troubled[part].append(KnownIncident(**bounds))
    times = [*sorted(healthy), *sorted(excerpts)]
    ordered = [*(healthy[t] for t in sorted(healthy)), *(excerpts[t] for t in sorted(excerpts))]
    services = tuple(sorted({service for row in ordered for service in row}))
    half = len(healthy) // 2
    # The healthy days of another scenario teach, and are judged there.
    parts = ["" if i < HISTORY or not own else PARTS[i >= half] for i in range(len(healthy))] + [
        part_of[t] for t in sorted(excerpts)
    ]
    missing = (0.0, math.nan, math.nan)
    table = np.array([[row.get(service, missing) for row in ordered] for service in services])
    requests, latency, availability = np.moveaxis(table, -1, 0)
    enough = requests >= LEAST_REQUESTS
    errors = np.round(requests * (1 - np.nan_to_num(availability, nan=100.0) / 100))
    return Scenario(
        name=name,
        services=services,
        times=np.array(times),
        parts=np.array(parts),
        requests=np.where(enough, requests, 0.0),
        errors=np.where(enough, errors, 0.0),
        latency=np.where(enough, latency, math.nan),
        incidents=incidents,
        troubled=troubled,
    )


def _escaped(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_ -/:" else f"\\{c}" for c in name)


def _rows(text: str) -> _Rows:
    """Requests, latency and availability of each service, by the begin of the row."""
    services, metrics, statistics, _, *lines = csv.reader(io.StringIO(text))
    places: dict[str, dict[tuple[str, str], int]] = {}
    for i in range(1, len(services)):
        places.setdefault(services[i], {})[metrics[i], statistics[i]] = i
    return {
        float(line[0]): {
            service: _numbers(line, [columns.get(column) for column in _COLUMNS])
            for service, columns in places.items()
        }
        for line in lines
    }


def _numbers(line: list[str], columns: list[int | None]) -> tuple[float, float, float]:
    requests, latency, availability = (
        float(line[i]) if i is not None and line[i] else math.nan for i in columns
    )
    return 0.0 if math.isnan(requests) else requests, latency, availability
