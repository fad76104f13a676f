"""Prints the tables of docs/backtesting.md: tunes each detector on a part, judges it on the other.

Run as: ``python tests/judging/report.py``; two minutes.
"""

# A program that reports to whoever runs it.
# ruff: noqa: T201

import math

import as_rules
from detectors import EVER, best, judged
from petshop import HISTORY, PARTS

from inferwatch_streams.backtest.scoring import Score

CONTENDERS = (
    ("fixed threshold", "threshold", HISTORY),
    ("three sigma, five hours", "three sigma", HISTORY),
    ("three sigma, all days", "three sigma", EVER),
    ("ours, five hours", "ours", HISTORY),
    ("ours, all days", "ours", EVER),
)


def row(name: str, judged_on: str, found: Score) -> str:
    """A line of the table."""
    delay = found.median_delay
    incidents = len(found.delays) + len(found.missed)
    return (
        f"| {name} | {judged_on} | {len(found.delays)} of {incidents} | {found.true_episodes} "
        f"| {found.false_episodes} | {found.precision:.3f} | {found.recall:.3f} | {found.f1:.3f} "
        f"| {(math.nan if delay is None else delay) / 1e6:.0f} s |"
    )


def main() -> None:
    """Print."""
    tuned = {}
    print(
        "| detector | judged on | found | true alerts | false | precision | recall | F1 | delay |"
    )
    for name, kind, past in CONTENDERS:
        total = None
        for part, other in zip(PARTS, reversed(PARTS), strict=True):
            tuned[name, other] = best(kind, other, past)
            found = judged(tuned[name, other], part)
            print(row(name, part, found), flush=True)
            total = found if total is None else total + found
        assert total is not None
        print(row(name, "both", total), flush=True)
    print(row("ours, as rules", "test", as_rules.judged("test")), flush=True)
    for (name, part), detector in tuned.items():
        print(f"{name}, tuned on {part}: {detector}")


if __name__ == "__main__":
    main()
