"""What must hold beyond the plain case: tiny batches, age, several workers, raw landing.

    python -m tests.benchmarks.scenarios [--only NAME ...] [--events N] [--runs 3] [--json FILE]

Every scenario checks its counts against the totals that were kept while its load was made, prints
a line for each thing that must hold, and the exit status is 0 where all of them do.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks import scenario_age, scenario_batches, scenario_landing, scenario_workers
from tests.benchmarks.claims import Finding, exit_status
from tests.benchmarks.report import machine

# By name: what runs it with so many events and runs.
SCENARIOS: dict[str, Callable[[int, int], Finding]] = {
    "batches": scenario_batches.run,
    "age": lambda events, _: scenario_age.run(events // 2),
    "workers": lambda events, _: scenario_workers.run(events),
    "landing": scenario_landing.run,
}


def main() -> None:
    """Run the scenarios and fail where something does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS),
                        metavar="NAME", help=f"some of {', '.join(SCENARIOS)}")  # fmt: skip
    parser.add_argument("--events", type=int, default=1_000_000,
                        help="of a load; half as many in each of those of age")  # fmt: skip
    parser.add_argument("--runs", type=int, default=3, help="of what is compared by medians")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    asked = parser.parse_args()
    described = machine()
    print(
        f"Requests in 20 groups, zstd, out of order; {described['cpus']} CPUs "
        f"({described['processor']}), Python {described['python']}",
        flush=True,
    )
    findings = {name: SCENARIOS[name](asked.events, asked.runs) for name in asked.only}
    if asked.json:
        told = {name: asdict(finding) for name, finding in findings.items()}
        asked.json.write_text(json.dumps({"machine": described, **told}, indent=2) + "\n")
    print()
    sys.exit(exit_status(claim for finding in findings.values() for claim in finding.claims))


if __name__ == "__main__":
    main()
